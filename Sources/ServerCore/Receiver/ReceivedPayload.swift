package import Model
import Synchronization
package import Wire

/// The payload of one frame on its way to a decoder. Source: wire.md 6.1 step 10, 6.2.
package struct ReceivedPayload: Sendable {
    package enum Transport: UInt8, Sendable {
        case tcp
        case udp
    }

    package var type: MessageType
    /// Records with their lengths; plain unless `isDamaged`.
    package var bytes: [UInt8]
    /// Could not be inflated: the bytes are as transmitted, and the decoder counts the error.
    package var isDamaged = false
    /// 0 before the agent has registered.
    package var agentID: UInt16
    package var orgID: UInt16
    package var teamID: UInt16
    package var sender: PeerAddress
    package var transport: Transport
    /// Wall clock, nanoseconds.
    package var receivedNs: UInt64
    private let lease: PayloadBudget.Lease?

    /// For tests and for in-process hand-over: costs no budget.
    package init(
        type: MessageType, bytes: [UInt8], agentID: UInt16 = 0, orgID: UInt16 = 1, teamID: UInt16 = 1,
        sender: PeerAddress = PeerAddress(), transport: Transport = .tcp, receivedNs: UInt64 = 0
    ) {
        self.init(
            type: type, bytes: bytes, agentID: agentID, orgID: orgID, teamID: teamID, sender: sender,
            transport: transport, receivedNs: receivedNs, lease: nil)
    }

    init(
        type: MessageType, bytes: [UInt8], agentID: UInt16, orgID: UInt16, teamID: UInt16, sender: PeerAddress,
        transport: Transport, receivedNs: UInt64, lease: PayloadBudget.Lease?
    ) {
        self.type = type
        self.bytes = bytes
        self.agentID = agentID
        self.orgID = orgID
        self.teamID = teamID
        self.sender = sender
        self.transport = transport
        self.receivedNs = receivedNs
        self.lease = lease
    }
}

/// Where a frame came from; the port does not matter.
package struct PeerAddress: Sendable, Hashable {
    package var ip: IPAddress
    package var isIPv6: Bool

    package init(ip: IPAddress = IPAddress(), isIPv6: Bool = false) {
        self.ip = ip
        self.isIPv6 = isIPv6
    }

    package var text: String { ip.text(v6: isIPv6) }
}

/// Bounds the bytes that all connections and decode queues hold together: queues are bounded in items only, and one
/// item may be 64 MiB.
package final class PayloadBudget: Sendable {
    private let limit: Int
    private let used = Atomic<Int>(0)

    /// Returns its bytes when the payload is gone.
    final class Lease: Sendable {
        private let budget: PayloadBudget
        private let bytes: Int

        init(_ budget: PayloadBudget, _ bytes: Int) {
            self.budget = budget
            self.bytes = bytes
        }

        deinit { budget.adjust(-bytes) }
    }

    package init(limit: Int) { self.limit = limit }

    package var inUse: Int { used.load(ordering: .relaxed) }

    /// Nil when the bytes would not fit.
    func lease(_ bytes: Int) -> Lease? {
        guard adjust(bytes) else {
            adjust(-bytes)
            return nil
        }
        return Lease(self, bytes)
    }

    /// False when the bound is passed; the bytes count all the same until they are taken back.
    @discardableResult
    func adjust(_ bytes: Int) -> Bool {
        used.wrappingAdd(bytes, ordering: .relaxed).newValue <= limit
    }
}
