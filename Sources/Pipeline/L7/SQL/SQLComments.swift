import Model

/// Trace and span ids in the comments of a statement. Source: agent-l7-protocols.md 4, trace.
enum SQLComments {
    /// Collects what `#`, `--` and `/* */` comments say under the configured names.
    static func collect(
        _ bytes: RawSpan, _ text: Range<Int>, _ trace: borrowing L7TraceSettings, into tags: inout TagCollector
    ) {
        var at = text.lowerBound
        let end = text.upperBound
        var quote: UInt8 = 0
        while at < end {
            let byte = bytes.u8(at: at)
            if quote != 0 {
                if byte == quote { quote = 0 }
                at &+= 1
                continue
            }
            switch byte {
            case 39, 34, 96:
                quote = byte
                at &+= 1
            case 35:
                at = line(bytes, at &+ 1, end, trace, &tags)
            case 45 where at &+ 1 < end && bytes.u8(at: at &+ 1) == 45:
                at = line(bytes, at &+ 2, end, trace, &tags)
            case 47 where at &+ 1 < end && bytes.u8(at: at &+ 1) == 42:
                var stop = at &+ 2
                while stop < end, !(bytes.u8(at: stop) == 42 && stop &+ 1 < end && bytes.u8(at: stop &+ 1) == 47) {
                    stop &+= 1
                }
                read(bytes, min(at &+ 2, end)..<stop, trace, &tags)
                at = stop &+ 2
            default: at &+= 1
            }
        }
    }

    private static func line(
        _ bytes: RawSpan, _ start: Int, _ end: Int, _ trace: borrowing L7TraceSettings, _ tags: inout TagCollector
    ) -> Int {
        let stop = bytes.firstIndex(of: 10, from: start, to: end) ?? end
        if start < stop { read(bytes, start..<stop, trace, &tags) }
        return stop
    }

    /// `key value` pairs separated by white space, colon, equals sign or comma.
    private static func read(
        _ bytes: RawSpan, _ comment: Range<Int>, _ trace: borrowing L7TraceSettings, _ tags: inout TagCollector
    ) {
        var at = comment.lowerBound
        var key: Range<Int>?
        while at < comment.upperBound {
            while at < comment.upperBound, isSeparator(bytes.u8(at: at)) { at &+= 1 }
            let start = at
            while at < comment.upperBound, !isSeparator(bytes.u8(at: at)) { at &+= 1 }
            guard at > start else { break }
            if let key, trace.mayName(length: key.count, first: bytes.u8(at: key.lowerBound)) {
                match(bytes, key, start..<at, trace, &tags)
            }
            key = start..<at
        }
    }

    private static func isSeparator(_ byte: UInt8) -> Bool {
        isASCIISpace(byte) || byte == 58 || byte == 61 || byte == 44
    }

    private static func match(
        _ bytes: RawSpan, _ key: Range<Int>, _ value: Range<Int>, _ trace: borrowing L7TraceSettings,
        _ tags: inout TagCollector
    ) {
        for index in 0..<trace.traceNames.count where trace.traceNames[index].header.matches(bytes, key) {
            if let id = trace.traceNames[index].traceID(bytes, value) {
                tags.addTrace(id, priority: TagCollector.builtIn(index), several: trace.collectsSeveralTraceIDs)
            }
        }
        for index in 0..<trace.spanNames.count where trace.spanNames[index].header.matches(bytes, key) {
            if let id = trace.spanNames[index].spanID(bytes, value) {
                tags.setSpan(id, priority: TagCollector.builtIn(index))
            }
        }
    }
}
