import Foundation
import Model
import ServerCore
import Testing

@Suite struct RowPrintingTests {
    private func log() -> L7FlowLogRow {
        var log = L7FlowLog()
        log.base.endTimeNs = 1_700_000_000_123_456_789
        log.base.startTimeNs = 1_700_000_000_000_000_000
        log.base.ipSrc = IPAddress(v4: 0)
        log.base.ipDst = IPAddress(v4: 0x0a01_0203)
        log.base.proto = 6
        log.base.l7Protocol = 20
        log.base.messageType = 2
        log.responseStatus = 3
        log.responseCode = 500
        log.requestType = "GET"
        log.requestResource = "/a\"b\\c\u{1}\n,é\u{7f}"
        return L7FlowLogRow(log, id: 7, teamID: 1, traceIDs: TraceIDIndexer(), platform: PlatformData())
    }

    private func flow(isIPv6: Bool) -> L4FlowLogRow {
        var flow = TaggedFlow()
        flow.ethType = isIPv6 ? EtherType.ipv6 : EtherType.ipv4
        flow.key.ipSrc = isIPv6 ? IPAddress(high: 0xfe80 << 48, low: 1) : IPAddress(v4: 0x0a00_0001)
        flow.src.realIP = flow.key.ipSrc
        flow.key.macSrc = 0x163e_0000_01
        flow.closeType = 1
        flow.key.proto = 6
        flow.endTimeNs = 60_000_001_000
        flow.hasPerfStats = true
        flow.perf.tcp.rtt = 158
        return L4FlowLogRow(flow, id: 7, teamID: 1, platform: PlatformData())
    }

    private func object(_ row: some TableRow, _ table: TableSchema) throws -> [String: Any] {
        let printer = JSONRowPrinter(table: table, constants: [("table", table.name)])
        printer.append(row)
        let text = printer.takeText()
        #expect(text.last == "\n" && text.filter { $0 == "\n" }.count == 1)
        return try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    @Test func jsonOfARequest() throws {
        let json = try object(log(), Catalogue.l7FlowLog)
        #expect(json["table"] as? String == "l7_flow_log")
        #expect(json["time"] as? String == "2023-11-14T22:13:20.000000Z")
        #expect(json["end_time"] as? String == "2023-11-14T22:13:20.123456Z")
        #expect(json["ip4_0"] as? String == "0.0.0.0")
        #expect(json["ip4_1"] as? String == "10.1.2.3")
        #expect(json["ip6_0"] == nil)
        #expect(json["l7_protocol"] as? Int == 20)
        #expect(json["l7_protocol_str"] as? String == "HTTP")
        #expect(json["response_status_str"] as? String == "server_error")
        #expect(json["type_str"] as? String == "session")
        #expect(json["protocol_str"] as? String == "TCP")
        #expect(json["response_code"] as? Int == 500)
        #expect(json["response_exception"] as? String == "Internal Server Error")
        #expect(json["request_resource"] as? String == "/a\"b\\c\u{1}\n,é\u{7f}")
        #expect(json["request_id"] == nil && json["request_domain"] == nil && json["attribute_names"] == nil)
        #expect(json["_id"] as? Int == 7)
    }

    @Test func keysAreColumnsOrTheirTwins() throws {
        let names = Set(Catalogue.l4FlowLog.columns.map(\.name))
        let json = try object(flow(isIPv6: false), Catalogue.l4FlowLog)
        for key in json.keys where key != "table" {
            #expect(names.contains(key) || (key.hasSuffix("_str") && names.contains(String(key.dropLast(4)))), "\(key)")
        }
        #expect(json["close_type_str"] as? String == "finish")
        #expect(json["mac_0"] as? String == "00:16:3e:00:00:01")
        #expect(json["rtt"] as? Int == 158)
        #expect(json["tunnel_tx_ip4_0"] == nil && json["tunnel_tx_ip6_0"] == nil)
        let v6 = try object(flow(isIPv6: true), Catalogue.l4FlowLog)
        #expect(v6["ip6_0"] as? String == "fe80::1")
        #expect(v6["ip6_1"] as? String == "::")
        #expect(v6["ip4_0"] == nil && v6["nat_real_ip4_0"] == nil)
    }

    @Test func extrasAndHiddenColumns() throws {
        let printer = JSONRowPrinter(table: Catalogue.l7FlowLog, hiding: ["protocol"])
        printer.append(
            log(), extras: [("message", .text("request")), ("protocol", .text("http")), ("none", .text(""))])
        let text = printer.takeText()
        let json = try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        #expect(json["protocol"] as? String == "http")
        #expect(json["protocol_str"] == nil && json["none"] == nil)
        #expect(json["message"] as? String == "request")
    }

    @Test func csvHasAFieldForEveryColumn() throws {
        let printer = CSVRowPrinter(table: Catalogue.l7FlowLog)
        printer.appendHeader()
        printer.append(log())
        let text = printer.takeText()
        let lines = parse(csv: text)
        #expect(lines.count == 2)
        #expect(lines[0] == Catalogue.l7FlowLog.columns.map(\.name))
        #expect(lines[1].count == lines[0].count)
        func field(_ name: String) -> String { lines[1][Catalogue.l7FlowLog.index(of: name) ?? 0] }
        #expect(field("request_resource") == "/a\"b\\c\u{1}\n,é\u{7f}")
        #expect(field("ip4_0") == "0.0.0.0" && field("ip6_0") == "" && field("request_id") == "")
        #expect(field("end_time") == "2023-11-14T22:13:20.123456Z")
    }

    @Test func numbersOfEveryLengthAreWritten() throws {
        var value: UInt64 = 1
        var values: [UInt64] = [0, .max, 1 << 63, UInt64(UInt32.max)]
        for _ in 0..<20 {
            values += [value, value &- 1, value &+ 1, value &* 9 &+ 7]
            value = value &* 10
        }
        for number in 0...9999 { values.append(UInt64(number)) }
        let printer = CSVRowPrinter(table: Catalogue.l4FlowLog)
        let column = try #require(Catalogue.l4FlowLog.index(of: "flow_id"))
        for value in values {
            var flow = TaggedFlow()
            flow.flowID = value
            flow.src.l3EpcID = Int32(truncatingIfNeeded: value)
            printer.append(L4FlowLogRow(flow, id: 1, teamID: 1, platform: PlatformData()))
            let fields = printer.takeText().split(separator: ",", omittingEmptySubsequences: false)
            #expect(fields[column] == "\(value)")
        }
    }

    @Test func tableLinesUpColumns() throws {
        let printer = TableRowPrinter(table: Catalogue.l4FlowLog)
        printer.appendHeader()
        printer.append(flow(isIPv6: false))
        printer.append(flow(isIPv6: true))
        let lines = printer.takeText().split(separator: "\n")
        #expect(lines.count == 3)
        #expect(lines[0].hasPrefix("END "))
        #expect(lines[1].hasPrefix("1970-01-01T00:01:00.000 10.0.0.1:0"))
        #expect(lines[2].contains("[fe80::1]:0"))
        for name in ["network.1m", "network_map.1s", "application.1m", "application_map.1s", "l7_flow_log", "event"] {
            let table = try #require(Catalogue.table(named: name))
            TableRowPrinter(table: table).appendHeader()
        }
    }

    /// A plain RFC 4180 reader.
    private func parse(csv text: String) -> [[String]] {
        var lines: [[String]] = [[]]
        var field = ""
        var isQuoted = false
        var scalars = Array(text.unicodeScalars)[...]
        while let next = scalars.popFirst() {
            if isQuoted {
                if next == "\"" {
                    if scalars.first == "\"" {
                        field.unicodeScalars.append(scalars.removeFirst())
                    } else {
                        isQuoted = false
                    }
                } else {
                    field.unicodeScalars.append(next)
                }
            } else if next == "\"" {
                isQuoted = true
            } else if next == "," || next == "\n" {
                lines[lines.count - 1].append(field)
                field = ""
                if next == "\n" { lines.append([]) }
            } else {
                field.unicodeScalars.append(next)
            }
        }
        return lines.dropLast()
    }
}
