import Testing

@testable import Pipeline

/// Vectors of agent-flow.md 11.1.
struct SequenceListTests {
    @Test func verdictsOfTheSpecification() {
        var list = SequenceList()
        let steps: [(UInt32, UInt32, SequenceList.Verdict)] = [
            (10, 10, .notCare), (20, 10, .continuous), (10, 10, .retrans), (20, 10, .retrans), (40, 20, .discontinuous),
            (10, 21, .retrans), (29, 5, .retrans), (10, 20, .retrans), (31, 4, .outOfOrder), (30, 1, .outOfOrder),
            (35, 2, .outOfOrder), (39, 1, .outOfOrder), (38, 7, .error), (10, 28, .retrans), (35, 5, .retrans),
            (5, 5, .outOfOrder), (1, 3, .outOfOrder),
        ]
        for (seq, length, verdict) in steps {
            #expect(list.assess(seq: seq, length: length) == verdict, "segment \(seq)+\(length)")
        }
        #expect(list.list == [.init(seq: 39, length: 21), .init(seq: 5, length: 32), .init(seq: 1, length: 3)])
    }

    @Test func sixteenSegmentsAreTheBound() {
        var list = SequenceList()
        for index in 0..<100 { _ = list.assess(seq: UInt32(1000 + index * 20), length: 10) }
        #expect(list.list.count == 15)
        #expect(list.list.first == .init(seq: 1000 + 99 * 20, length: 10))
    }
}
