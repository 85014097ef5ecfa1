import EngineAPI
import Model

/// One request in full, in the words of its protocol: a statement has a text, a message a topic, a name its answers.
struct RequestDetail {
    private let request: LiveRequest
    private let log: L7FlowLog
    private let family: Family

    init(_ request: LiveRequest) {
        self.request = request
        log = request.log
        family = Family(L7Protocol(rawValue: request.log.base.l7Protocol) ?? .unknown)
    }

    var detail: Detail {
        var detail = Detail(title: title, sections: [asked, answered, headers, attributes, ends, place])
        detail.sections.removeAll { $0.fields.isEmpty }
        let answers = answers
        if !answers.rows.isEmpty { detail.tables = [Detail.Table(title: "Answers", table: answers)] }
        return detail
    }

    private var title: String {
        let what = log.requestResource.isEmpty ? log.requestDomain : log.requestResource
        return [request.l7Name, log.requestType, what].filter { !$0.isEmpty }.joined(separator: " ")
    }

    // MARK: - What was asked

    private enum Family {
        case web
        case call
        case statement
        case command
        case message
        case question
        case handshake
        case other

        init(_ proto: L7Protocol) {
            self =
                switch proto {
                case .http1, .http2, .fastCGI: .web
                case .grpc, .triple, .dubbo, .sofaRPC, .brpc, .tars, .someIp: .call
                case .mysql, .postgresql, .oracle, .dameng: .statement
                case .redis, .memcached, .mongodb: .command
                case .kafka, .mqtt, .amqp, .openWire, .nats, .pulsar, .zmtp, .rocketMQ, .webSphereMQ: .message
                case .dns: .question
                case .tls: .handshake
                case .unknown, .iso8583, .netSign, .ping, .custom: .other
                }
        }

        var title: String {
            switch self {
            case .web, .other: "Request"
            case .call: "Call"
            case .statement: "Statement"
            case .command: "Command"
            case .message: "Message"
            case .question: "Question"
            case .handshake: "Handshake"
            }
        }

        /// What the columns of a request are called, in the order in which they are told.
        var names: [(name: String, column: KnownColumn)] {
            switch self {
            case .web:
                [
                    ("method", .requestType), ("host", .requestDomain), ("path", .requestResource),
                    ("endpoint", .endpoint), ("stream", .requestID),
                ]
            case .call:
                [
                    ("method", .endpoint), ("kind", .requestType), ("host", .requestDomain),
                    ("resource", .requestResource), ("call id", .requestID),
                ]
            case .statement:
                [
                    ("command", .requestType), ("text", .requestResource), ("digest", .endpoint),
                    ("database", .requestDomain), ("statement id", .requestID),
                ]
            case .command:
                [
                    ("name", .requestType), ("text", .requestResource), ("endpoint", .endpoint),
                    ("request id", .requestID),
                ]
            case .message:
                [
                    ("action", .requestType), ("topic", .requestResource), ("endpoint", .endpoint),
                    ("peer", .requestDomain), ("message id", .requestID),
                ]
            case .question: [("name", .requestResource), ("record type", .requestType), ("query id", .requestID)]
            case .handshake: [("server name", .requestDomain), ("messages", .requestType)]
            case .other:
                [
                    ("type", .requestType), ("domain", .requestDomain), ("resource", .requestResource),
                    ("endpoint", .endpoint), ("request id", .requestID),
                ]
            }
        }
    }

    private var asked: Detail.Section {
        let service = text("service", family == .call ? log.ext?.rpcService ?? "" : "")
        let named =
            log.base.l7Protocol == L7Protocol.kafka.rawValue
            ? kafka : family.names.map { field($0.name, $0.column) }
        return section(
            family.title, [service] + named + [field(.version), field(.requestLength), field(.isTLS)])
    }

    /// Partition and offset stand in one text: `topic-partition:offset`.
    private var kafka: [Detail.Field?] {
        var fields = [field("action", .requestType), field("topic", .requestDomain)]
        let place = log.requestResource.isEmpty ? log.endpoint : log.requestResource
        if !log.requestDomain.isEmpty, place.hasPrefix(log.requestDomain + "-") {
            let numbers = place.dropFirst(log.requestDomain.utf8.count + 1).split(separator: ":")
            if let partition = numbers.first { fields.append(text("partition", String(partition))) }
            if numbers.count == 2 { fields.append(text("offset", String(numbers[1]))) }
        }
        return fields + [field("correlation id", .requestID)]
    }

    // MARK: - What came back

    private var answered: Detail.Section {
        let rows = log.rowEffect > 0 ? Detail.Field("rows", .uint(UInt64(log.rowEffect))) : nil
        let result: Detail.Field? =
            switch family {
            case .question: nil
            case .statement: field("sqlstate", .responseResult)
            default: field("reply", .responseResult)
            }
        return section(
            "Response",
            [
                field(.responseStatus), code, result, field("error", .responseException), rows,
                field(.responseDuration), field(.responseLength),
            ])
    }

    private var code: Detail.Field? {
        guard let value = request.field(FilterColumn(.responseCode)), let number = value.number else { return nil }
        let proto = L7Protocol(rawValue: log.base.l7Protocol)
        let name =
            switch proto {
            case .grpc, .triple: "grpc status"
            case .dns: "rcode"
            default: KnownColumn.responseCode.rawValue
            }
        let meaning = meaning(of: Int32(clamping: Int(number)), proto)
        return Detail.Field(name, meaning.isEmpty ? value : .text("\(Int(number)) \(meaning)"))
    }

    private func meaning(of code: Int32, _ proto: L7Protocol?) -> String {
        switch proto {
        case .grpc, .triple: code >= 0 && code < Self.grpcNames.count ? Self.grpcNames[Int(code)] : ""
        case .http1, .http2: ResponseExceptions.httpTexts[code] ?? ""
        case .dns where code == 0: "NOERROR"
        default:
            ResponseExceptions.text(
                protocol: log.base.l7Protocol, version: log.version, status: log.responseStatus, code: code)
        }
    }

    /// Source: gRPC status codes.
    private static let grpcNames = [
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
        "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
        "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
    ]

    /// Of a name server, one record a row.
    private var answers: ResultTable {
        guard family == .question, !log.responseResult.isEmpty else { return ResultTable(columns: [], rows: []) }
        let records = log.responseResult.split(separator: "; ")
        return ResultTable(columns: ["record"], rows: records.map { [.text(String($0))] })
    }

    // MARK: - The rest

    /// Headers that were looked at.
    private var headers: Detail.Section {
        guard let ext = log.ext else { return Detail.Section("Headers", []) }
        return section(
            "Headers",
            [
                text("http_user_agent", ext.userAgent), text("http_referer", ext.referer),
                text("http_proxy_client", ext.clientIP), text("x_request_id_0", ext.xRequestID0),
                text("x_request_id_1", ext.xRequestID1),
            ])
    }

    private var attributes: Detail.Section {
        guard let ext = log.ext else { return Detail.Section("Attributes", []) }
        return Detail.Section(
            "Attributes",
            zip(ext.attributeNames, ext.attributeValues).map { Detail.Field($0, .text($1)) }
                + zip(ext.metricsNames, ext.metricsValues).map { Detail.Field($0, .real($1)) })
    }

    private var ends: Detail.Section {
        section(
            "Ends",
            [
                field(.ip0), field(.clientPort), field(.process0), field(.pid0), field(.ip1), field(.serverPort),
                field(.process1), field(.pid1), field(.observationPoint),
            ])
    }

    private var place: Detail.Section {
        section(
            "Trace and time",
            [field(.traceID), field(.spanID), field(.startTime), field(.endTime), field(.flowID), field(.agentID)])
    }

    // MARK: - Fields

    private func section(_ name: String, _ fields: [Detail.Field?]) -> Detail.Section {
        Detail.Section(name, fields.compactMap { $0 })
    }

    private func field(_ column: KnownColumn) -> Detail.Field? { field(column.rawValue, column) }

    /// nil when there is nothing to tell.
    private func field(_ name: String, _ column: KnownColumn) -> Detail.Field? {
        guard let value = request.field(FilterColumn(column)), !value.isEmpty else { return nil }
        let tellsZero = column == .responseStatus || column == .responseDuration
        return value.number == 0 && !tellsZero ? nil : Detail.Field(name, value)
    }

    private func text(_ name: String, _ text: String) -> Detail.Field? {
        text.isEmpty ? nil : Detail.Field(name, .text(text))
    }
}
