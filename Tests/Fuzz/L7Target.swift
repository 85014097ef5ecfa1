import Model
import Pipeline

/// Payloads of one flow in both directions, through recognition, parser and reassembly.
///
/// Input is a list of payloads: a byte of flags (1 = from the server), two of length, the payload; the first byte of all
/// says whether segments are reassembled.
protocol L7Target: FuzzTarget {
    static var proto: L7Protocol { get }
    /// Conversations: payload and whether the server sends it.
    static var conversations: [[(fromServer: Bool, payload: [UInt8])]] { get }
}

extension L7Target {
    static var seeds: [[UInt8]] {
        conversations.flatMap { conversation -> [[UInt8]] in
            let body = conversation.flatMap { turn -> [UInt8] in
                [turn.fromServer ? 1 : 0, UInt8(turn.payload.count >> 8 & 255), UInt8(turn.payload.count & 255)]
                    + turn.payload
            }
            return [[0] + body, [1] + body]
        }
    }

    mutating func run(_ input: [UInt8]) throws(Finding) -> Bool {
        var settings = L7Settings()
        settings.restrict(to: Self.proto)
        settings.reassembly.isEnabled = (input.first ?? 0) & 1 != 0
        var engine = L7Engine(settings: settings)
        var out = L7Output()
        let slot = engine.open(
            flow: L7FlowIdentity(flowID: 1, serverIP: IPAddress(v4: 1), serverPort: 80), nowSec: 1)
        var packet = L7Packet()
        packet.timeNs = 1_000_000_000
        var seqs: (client: UInt32, server: UInt32) = (1, .max - 100)
        var (at, offered, isTaken) = (1, 0, false)
        while at + 3 <= input.count {
            let fromServer = input[at] & 1 != 0
            let first = at + 3
            at = min(first + (Int(input[at + 1]) << 8 | Int(input[at + 2])), input.count)
            let payload = Array(input[first..<at])
            packet.timeNs += 1000
            packet.direction = fromServer ? .serverToClient : .clientToServer
            (packet.portSrc, packet.portDst) = fromServer ? (80, 40000) : (40000, 80)
            packet.tcpSeq = fromServer ? seqs.server : seqs.client
            if fromServer { seqs.server &+= UInt32(payload.count) } else { seqs.client &+= UInt32(payload.count) }
            offered += payload.count
            let outcome = engine.parse(slot: slot, packet: packet, payload: payload.span.bytes, into: &out)
            if outcome.result == .parsed { isTaken = true }
        }
        _ = engine.close(slot: slot, into: &out)
        // No message is shorter than a byte; a closed AMQP channel makes two of one.
        guard out.messages.count <= 2 * offered else {
            throw Finding(what: "\(out.messages.count) messages of \(offered) bytes")
        }
        for message in out.messages.all {
            let log = message.standalone()
            // Eight bytes of BSON may be a number of hundreds of digits.
            let most = 10 * offered + 400
            guard log.requestResource.utf8.count <= most, log.responseException.utf8.count <= most else {
                throw Finding(what: "a text much longer than all input")
            }
        }
        return isTaken
    }
}
