import EngineAPI
import Model
import Testing

@testable import ServerCore

/// Details of a request say what its protocol says: the fields an engineer asks for, under the protocol's own names.
struct RequestDetailTests {
    private static func detail(_ proto: L7Protocol, _ fill: (inout L7FlowLog) -> Void) -> Detail {
        var log = L7FlowLog()
        log.base.l7Protocol = proto.rawValue
        log.base.messageType = LogMessageType.session.rawValue
        log.base.rrtNs = 1_500_000
        log.responseStatus = L7ResponseStatus.ok.rawValue
        fill(&log)
        return RequestDetail(LiveRequest(id: 1, log: log, flow: nil)).detail
    }

    private static func value(_ detail: Detail, _ section: String, _ name: String) -> FieldValue? {
        detail.sections.first { $0.name == section }?.fields.first { $0.name == name }?.value
    }

    @Test func statementHasItsTextAndRows() {
        let detail = Self.detail(.postgresql) { log in
            log.requestType = "SELECT"
            log.requestResource = "select 1 from t"
            log.responseResult = "42P01"
            log.responseException = "undefined_table"
            log.responseStatus = L7ResponseStatus.clientError.rawValue
            log.rowEffect = 3
        }
        #expect(detail.title == "PostgreSQL SELECT select 1 from t")
        #expect(Self.value(detail, "Statement", "text") == .text("select 1 from t"))
        #expect(Self.value(detail, "Response", "sqlstate") == .text("42P01"))
        #expect(Self.value(detail, "Response", "error") == .text("undefined_table"))
        #expect(Self.value(detail, "Response", "rows") == .uint(3))
        #expect(Self.value(detail, "Response", "response_duration") == .uint(1500))
    }

    @Test func kafkaMessageHasTopicPartitionAndOffset() {
        let detail = Self.detail(.kafka) { log in
            log.requestType = "Produce"
            log.requestDomain = "orders-eu"
            log.requestResource = "orders-eu-7:42"
        }
        #expect(Self.value(detail, "Message", "topic") == .text("orders-eu"))
        #expect(Self.value(detail, "Message", "partition") == .text("7"))
        #expect(Self.value(detail, "Message", "offset") == .text("42"))
    }

    @Test func nameServerAnswersStandOneARow() {
        let detail = Self.detail(.dns) { log in
            log.requestType = "A"
            log.requestResource = "example.org"
            log.responseCode = 0
            log.responseResult = "A 192.0.2.1; A 192.0.2.2"
        }
        #expect(Self.value(detail, "Question", "name") == .text("example.org"))
        #expect(Self.value(detail, "Response", "rcode") == .text("0 NOERROR"))
        #expect(detail.tables.first?.table.rows == [[.text("A 192.0.2.1")], [.text("A 192.0.2.2")]])
    }

    @Test func callNamesItsStatus() {
        let detail = Self.detail(.grpc) { log in
            log.endpoint = "/shop.Cart/Add"
            log.responseCode = 14
            log.changeExt { $0.rpcService = "shop.Cart" }
        }
        #expect(Self.value(detail, "Call", "service") == .text("shop.Cart"))
        #expect(Self.value(detail, "Call", "method") == .text("/shop.Cart/Add"))
        #expect(Self.value(detail, "Response", "grpc status") == .text("14 UNAVAILABLE"))
    }

    @Test func requestShowsTheHeadersSeen() {
        let detail = Self.detail(.http1) { log in
            log.requestType = "GET"
            log.requestDomain = "shop.example"
            log.responseCode = 503
            log.responseStatus = L7ResponseStatus.serverError.rawValue
            log.changeExt { ext in
                ext.userAgent = "curl/8"
                ext.attributeNames = ["x-tenant"]
                ext.attributeValues = ["blue"]
            }
        }
        #expect(Self.value(detail, "Request", "host") == .text("shop.example"))
        #expect(Self.value(detail, "Response", "response_code") == .text("503 Service Unavailable"))
        #expect(Self.value(detail, "Headers", "http_user_agent") == .text("curl/8"))
        #expect(Self.value(detail, "Attributes", "x-tenant") == .text("blue"))
    }
}
