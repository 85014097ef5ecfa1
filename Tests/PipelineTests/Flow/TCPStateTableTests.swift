import Model
import Testing

@testable import Pipeline

/// The whole transition table, cell by cell. Source: agent-flow.md 10.2.
struct TCPStateTableTests {
    /// Sets of flags by class: S, SA, F, R, A. `a` stands for the bare ACK.
    private static let classes: [(name: String, flags: [UInt8])] = [
        ("S", [0x02]), ("SA", [0x12]), ("F", [0x01, 0x11, 0x19]), ("R", [0x04, 0x14, 0x1c]), ("A", [0x10, 0x18, 0x38]),
    ]

    private static let seconds: [Substring: UInt32] = [
        "o": 5, "e": 300, "c": 5, "er": 35, "x": 5, "f": 2, "or": 1,
    ]

    /// Columns S, SA, F, R, A; `-` = no entry; `a:` = bare ACK only.
    private static let master = """
        Raw Opening1/o - ClosingTx1/c Reset/c Established/e
        Opening1 Opening1/o - ClosingTx1/c EstablishReset/c Established/e
        Opening2 Opening2/o - ClosingTx1/c OpeningRst/or Established/e
        Established Established/e - ClosingTx1/c Reset/er Established/e
        ClosingTx1 ClosingTx1/c ClosingTx1/c ClosingTx1/c Reset/c ClosingTx1/c
        ClosingTx2 ClosingTx2/c ClosingTx2/c ClosingTx2/c Reset/f a:Closed/f
        ClosingRx1 ClosingRx1/c ClosingRx1/c ClosingRx2/c Reset/c ClosingRx1/c
        ClosingRx2 ClosingRx2/c ClosingRx2/c ClosingRx2/c Reset/f ClosingRx2/c
        Closed - - - - a:Closed/f
        Reset Reset/x Reset/x Reset/x Reset/x Reset/x
        Exception - - - - -
        Syn1 Opening1/o - ClosingTx1/c ClientL4PortReuse/c Established/e
        SynAck1 Established/e - ClosingTx1/c Reset/c SynAck1/e
        ClientL4PortReuse ClientL4PortReuse/x ClientL4PortReuse/x ClientL4PortReuse/x ClientL4PortReuse/x ClientL4PortReuse/x
        ServerReset ServerReset/x ServerReset/x ServerReset/x ServerReset/x ServerReset/x
        ServerCandidateQueueLack ServerCandidateQueueLack/x ServerCandidateQueueLack/x ServerCandidateQueueLack/x ServerCandidateQueueLack/x ServerCandidateQueueLack/x
        EstablishReset EstablishReset/x EstablishReset/x EstablishReset/x EstablishReset/x EstablishReset/x
        OpeningRst OpeningRst/or OpeningRst/or OpeningRst/or OpeningRst/or OpeningRst/or
        """

    /// Overrides of what the server sends; `.` = none.
    private static let slave = """
        Raw . Opening2/o ClosingRx1/c . .
        Opening1 . Opening2/o ClosingRx1/c ServerReset/c Syn1/o
        Opening2 . Opening2/o ClosingRx1/c EstablishReset/c .
        Established . SynAck1/e ClosingRx1/c . .
        ClosingTx1 . . ClosingTx2/c . .
        ClosingTx2 . . . . ClosingTx2/c
        ClosingRx1 . . ClosingRx1/c . .
        ClosingRx2 . . . . a:Closed/f
        Closed . . . . a:Closed/f
        Syn1 . Opening2/o ClosingRx1/c EstablishReset/c Syn1/o
        SynAck1 . SynAck1/e ClosingRx1/c ServerCandidateQueueLack/er Established/e
        OpeningRst OpeningRst/or OpeningRst/or OpeningRst/or OpeningRst/or OpeningRst/or
        """

    private static let states: [Substring: FlowState] = [
        "Raw": .raw, "Opening1": .opening1, "Opening2": .opening2, "Established": .established,
        "ClosingTx1": .closingTx1, "ClosingTx2": .closingTx2, "ClosingRx1": .closingRx1, "ClosingRx2": .closingRx2,
        "Closed": .closed, "Reset": .reset, "Exception": .exception, "Syn1": .syn1, "SynAck1": .synAck1,
        "ClientL4PortReuse": .clientL4PortReuse, "ServerReset": .serverReset,
        "ServerCandidateQueueLack": .serverCandidateQueueLack, "EstablishReset": .establishReset,
        "OpeningRst": .openingRst,
    ]

    private static func rows(_ text: String) -> [FlowState: [Substring]] {
        var rows: [FlowState: [Substring]] = [:]
        for line in text.split(separator: "\n") {
            let cells = line.split(separator: " ")
            if let state = cells.first.flatMap({ states[$0] }) { rows[state] = Array(cells.dropFirst()) }
        }
        return rows
    }

    /// The new state and seconds of a cell; nil where there is none for these flags.
    private static func move(_ cell: Substring, flags: UInt8) -> (FlowState, UInt32)? {
        var cell = cell
        if cell.hasPrefix("a:") {
            guard flags == 0x10 else { return nil }
            cell = cell.dropFirst(2)
        }
        let parts = cell.split(separator: "/")
        guard parts.count == 2, let state = states[parts[0]], let time = seconds[parts[1]] else { return nil }
        return (state, time)
    }

    @Test func everyCell() throws {
        let machine = TCPStateMachine(timeouts: FlowTimeouts())
        let masters = TCPStateTableTests.rows(TCPStateTableTests.master)
        let slaves = TCPStateTableTests.rows(TCPStateTableTests.slave)
        #expect(masters.count == FlowState.count)
        #expect(slaves.count == 12)
        for (state, cells) in masters {
            for (column, kind) in TCPStateTableTests.classes.enumerated() {
                for flags in kind.flags {
                    let forward = TCPStateTableTests.move(cells[column], flags: flags)
                    let override = slaves[state].flatMap { TCPStateTableTests.move($0[column], flags: flags) }
                    let other: (FlowState, UInt32) = (.exception, 5)
                    #expect(
                        machine.next(state, flags: flags, direction: .clientToServer) == (forward ?? other),
                        "\(state) \(flags) from the client")
                    #expect(
                        machine.next(state, flags: flags, direction: .serverToClient) == (override ?? forward ?? other),
                        "\(state) \(flags) from the server")
                }
            }
        }
    }
}
