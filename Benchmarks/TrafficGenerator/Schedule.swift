/// What a packet of the plan is.
enum Step: UInt8 {
    case syn, synAck, clientAck, clientData, serverHead, serverData, clientFin, serverFin, clientReset
    case serverAgain  // the server's last data segment once more
    case clientDatagram, serverDatagram, echoRequest, echoReply
}

/// Packets of all flows, first in the order of making, then in the order of time.
struct Schedule {
    struct Entry {
        var flow: Int
        var step: Step
        /// Bytes of payload, or of body, or a message number: what the flow's kind makes of it.
        var length: Int
        /// Bytes of body that follow in later segments, or another number of the flow's kind.
        var extra: Int
    }

    private var keys: [UInt64] = []
    private var values: [UInt64] = []

    var count: Int { keys.count }

    mutating func reserve(_ capacity: Int) {
        keys.reserveCapacity(capacity)
        values.reserveCapacity(capacity)
    }

    mutating func add(atUs time: Int, flow: Int, _ step: Step, length: Int = 0, extra: Int = 0) {
        keys.append(UInt64(time) << 32 | UInt64(keys.count))
        values.append(UInt64(flow) << 40 | UInt64(step.rawValue) << 32 | UInt64(length) << 16 | UInt64(extra))
    }

    /// Calls `body` with every packet in the order of time; packets of one time keep the order of making.
    func replay(_ body: (_ timeUs: UInt64, Entry) throws -> Void) rethrows {
        for key in keys.sorted() {
            let value = values[Int(key & 0xffff_ffff)]
            let step = Step(rawValue: UInt8(truncatingIfNeeded: value >> 32)) ?? .clientAck
            try body(
                key >> 32,
                Entry(
                    flow: Int(value >> 40), step: step, length: Int(value >> 16 & 0xffff), extra: Int(value & 0xffff)))
        }
    }
}
