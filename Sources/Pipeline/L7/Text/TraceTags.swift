import Model

extension TagCollector {
    /// Takes trace and span id out of one header or property, if its name is configured. Source: agent-l7.md 11.2.
    mutating func read(_ payload: RawSpan, name: Range<Int>, value: Range<Int>, _ settings: borrowing L7TraceSettings) {
        for index in 0..<settings.traceNames.count where settings.traceNames[index].header.matches(payload, name) {
            if let id = settings.traceNames[index].traceID(payload, value) {
                addTrace(id, priority: Self.builtIn(index), several: settings.collectsSeveralTraceIDs)
            }
        }
        for index in 0..<settings.spanNames.count where settings.spanNames[index].header.matches(payload, name) {
            if let id = settings.spanNames[index].spanID(payload, value) {
                setSpan(id, priority: Self.builtIn(index))
            }
        }
    }

    /// The first three distinct trace ids and the span id; nil = nothing was found.
    var trace: L7Trace? {
        let ids = firstTraceIDs
        guard !ids.isEmpty || !spanID.isEmpty else { return nil }
        var trace = L7Trace()
        trace.traceIDs = ids
        trace.spanID = spanID
        return trace
    }
}
