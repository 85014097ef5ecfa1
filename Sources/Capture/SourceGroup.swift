package import Model

#if canImport(Glibc)
    import Glibc
#endif

/// Rings of several network namespaces read by one thread. Frames bear numbers that tell the interfaces of all
/// namespaces apart. Source: agent-flow.md 5.4.
package final class SourceGroup {
    /// What is captured in one namespace.
    package struct Place: Sendable {
        /// Inode of the namespace.
        package var key: UInt64
        package var rule: CaptureRule
        /// Numbers that frames bear, by kernel index.
        package var numbers: [Int32: Int32]
        /// Given when the place is new.
        package var source: LiveSource?

        package init(key: UInt64, rule: CaptureRule, numbers: [Int32: Int32], source: LiveSource?) {
            self.key = key
            self.rule = rule
            self.numbers = numbers
            self.source = source
        }
    }

    private struct Member {
        let key: UInt64
        let source: LiveSource
        /// By kernel index; -1 = not captured.
        var numbers: [Int32]
    }

    /// Kernel indexes beyond are not captured.
    private static let mostIndexes: Int32 = 1 << 20

    private let pollMs: Int32
    private var members: [Member] = []
    /// Who is asked first, so that a busy one does not starve the others.
    private var turn = 0
    private var closed = KernelStatistics()

    package init(pollMs: Int32) { self.pollMs = pollMs }

    /// The places from now on; others are closed.
    package func set(_ places: [Place]) throws(Failure) {
        for member in members where !places.contains(where: { $0.key == member.key }) {
            closed.add(member.source.statistics)
        }
        members.removeAll { member in !places.contains { $0.key == member.key } }
        var failure: Failure?
        for place in places {
            do { try set(place) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    private func set(_ place: Place) throws(Failure) {
        let numbers = SourceGroup.table(place.numbers)
        if let at = members.firstIndex(where: { $0.key == place.key }) {
            members[at].numbers = numbers
            try members[at].source.apply(place.rule)
        } else if let source = place.source {
            try source.apply(place.rule)
            members.append(Member(key: place.key, source: source, numbers: numbers))
        }
    }

    private static func table(_ numbers: [Int32: Int32]) -> [Int32] {
        let known = numbers.filter { $0.key >= 0 && $0.key < mostIndexes }
        var table = [Int32](repeating: -1, count: Int(known.keys.max() ?? -1) + 1)
        for (index, number) in known { table[Int(index)] = number }
        return table
    }

    /// Lets nothing more in, anywhere.
    package func endIntake() throws(Failure) -> Bool {
        var hasEnd = true
        for member in members { hasEnd = try member.source.endIntake() && hasEnd }
        return hasEnd
    }

    /// The next frames of one namespace, valid until the next call; 0 after the poll time without packets in any.
    package func next(into frames: UnsafeMutableBufferPointer<CaptureFrame>) throws(Failure) -> Int {
        let count = try read(into: frames)
        guard count == 0 else { return count }
        var waited = members.map { pollfd(fd: $0.source.descriptor, events: Int16(POLLIN), revents: 0) }
        guard poll(&waited, UInt(waited.count), pollMs) > 0 else { return 0 }
        return try read(into: frames)
    }

    private func read(into frames: UnsafeMutableBufferPointer<CaptureFrame>) throws(Failure) -> Int {
        for step in 0..<members.count {
            let at = (turn &+ step) % members.count
            let count = try members[at].source.next(into: frames, pollMs: 0)
            guard count > 0 else { continue }
            turn = at &+ 1
            for index in 0..<count { renumber(&frames[index], members[at].numbers) }
            return count
        }
        return 0
    }

    @inline(__always)
    private func renumber(_ frame: inout CaptureFrame, _ numbers: [Int32]) {
        let index = Int(frame.interface)
        frame.interface = index >= 0 && index < numbers.count ? numbers[index] : -1
    }

    package var statistics: KernelStatistics {
        members.reduce(into: closed) { $0.add($1.source.statistics) }
    }
}
