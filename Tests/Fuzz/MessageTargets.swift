import Model
import Wire

/// One record of a message that agents pass on from others: read or refused, whatever its bytes are.
protocol MessageTarget: FuzzTarget {
    associatedtype Record: WireDecodable
}

extension MessageTarget {
    mutating func run(_ input: [UInt8]) throws(Finding) -> Bool {
        (try? Record(wire: input.span.bytes, 0..<input.count)) != nil
    }
}

private func block(_ number: UInt8, _ body: [UInt8]) -> [UInt8] { [number << 3 | 2, UInt8(body.count)] + body }
private func text(_ number: UInt8, _ text: String) -> [UInt8] { block(number, Array(text.utf8)) }

struct OTLPTarget: MessageTarget {
    typealias Record = OTLPTraces
    static let name = "otlp"

    static var seeds: [[UInt8]] {
        let values: [[UInt8]] = [
            text(1, "v"), [2 << 3, 1], [3 << 3, 200, 1], [4 << 3 | 1, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f],
            block(5, block(1, text(1, "x"))), block(6, block(1, text(1, "k") + block(2, text(1, "w")))),
            block(7, [1, 2]),
        ]
        return values.map { value in
            let attribute = block(9, text(1, "key") + block(2, value))
            let event = block(11, text(2, "e") + block(3, text(1, "key") + block(2, value)))
            let status = block(15, text(2, "m") + [3 << 3, 2])
            let link = block(13, block(4, text(1, "refType")))
            let times: [UInt8] = [7 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8]
            let span = block(1, [1, 2]) + text(5, "n") + [6 << 3, 2] + times + attribute + event + link + status
            return block(1, block(1, block(1, text(1, "service.name"))) + block(2, block(2, span)))
        }
    }
}

struct PrometheusTarget: FuzzTarget {
    static let name = "prometheus"

    static var seeds: [[UInt8]] {
        let label = block(1, text(1, "__name__") + text(2, "up"))
        let sample = block(2, [1 << 3 | 1, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 2 << 3, 1])
        let request = block(1, label + sample) + block(1, label + label + sample + sample)
        let literal = [UInt8(request.count), UInt8(min(request.count, 60) - 1) << 2] + request.prefix(60)
        // Four bytes, and the same four again.
        let copied: [UInt8] = [8, 3 << 2, 10, 0, 10, 0, 0x01, 4]
        return [literal + (request.count > 60 ? [UInt8(request.count - 61) << 2] + request.dropFirst(60) : []), copied]
            .map { block(1, $0) + text(2, "cluster") + text(3, "c") }
    }

    mutating func run(_ input: [UInt8]) throws(Finding) -> Bool {
        guard let write = try? PrometheusWrite(wire: input.span.bytes, 0..<input.count) else { return false }
        write.forEachSeries { _ in }
        return true
    }
}

struct InfluxTarget: FuzzTarget {
    static let name = "influx"

    static var seeds: [[UInt8]] {
        [
            "m,a=b,c\\ d=e f=1.5,i=2i,u=3u,s=\"x\\\"y\n\",t=true 17\r\n", "# remark\n\ncpu f=1e3\n",
            "a\\,b,t=\\= f=-1i 5",
        ]
        .map { Array($0.utf8) }
    }

    mutating func run(_ input: [UInt8]) throws(Finding) -> Bool {
        var lines = InfluxLines(input)
        var points = 0
        while let point = lines.next() {
            points += 1
            guard !point.measurement.isEmpty, !point.fields.isEmpty || point.otherFields > 0 else {
                throw Finding(what: "a point without a name or fields: \(point)")
            }
            guard points <= input.count else { throw Finding(what: "the lines do not end") }
        }
        return points > 0
    }
}

struct ProfileTarget: MessageTarget {
    typealias Record = ProfileRecord
    static let name = "profile"
    static var seeds: [[UInt8]] {
        [
            block(1, [10, 1, 2, 3]) + text(2, "svc") + text(9, "pprof") + text(11, "data") + [12 << 3, 1],
            text(11, "a;b") + [0xa0, 1, 5, 0xa8, 1, 2, 0xd2, 1, 1, 97, 0x90, 2, 2],
        ]
    }
}

struct PprofTarget: FuzzTarget {
    static let name = "pprof"

    static var seeds: [[UInt8]] {
        let locations =
            block(4, [8, 1] + block(4, [8, 1])) + block(4, [8, 2] + block(4, [8, 2]) + block(4, [8, 1]))
        let functions = block(5, [8, 1, 16, 3]) + block(5, [8, 2, 16, 4])
        let texts = ["", "samples", "count", "f", "g"].reduce(into: [UInt8]()) { $0 += text(6, $1) }
        return [block(1, [8, 1, 16, 2]) + block(2, block(1, [1, 2]) + block(2, [7])) + locations + functions + texts]
    }

    mutating func run(_ input: [UInt8]) throws(Finding) -> Bool { (try? StackProfile(pprof: input)) != nil }
}

struct ProcEventTarget: MessageTarget {
    typealias Record = ProcEventRecord
    static let name = "procevent"
    static var seeds: [[UInt8]] {
        [
            [8, 100] + block(4, [97, 0]) + [56, 1] + block(8, [8, 9, 16, 1] + text(4, "/a\0")) + [80, 42],
            block(11, [8, 3, 40, 7] + text(7, "/b")), block(12, [8, 1, 40, 9]),
            block(13, [8, 2, 24, 1] + text(7, "sh") + text(8, "sh -c") + text(9, "/bin/sh")) + [14 << 3, 5],
        ]
    }
}

struct PcapBatchTarget: MessageTarget {
    typealias Record = PcapBatchRecord
    static let name = "pcapbatch"
    static var seeds: [[UInt8]] {
        [
            [8, 5] + block(2, [8, 1, 16, 2, 24, 3, 32, 1] + block(5, [1, 2, 3]) + [48, 1, 48, 172, 2]),
            block(2, block(6, [1, 2])),
        ]
    }
}
