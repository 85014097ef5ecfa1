import Synchronization
package import Wire

/// Who sent frames of a type, and when. Source: wire.md 6.5.
package struct AgentStatus: Sendable, Equatable {
    package var type: MessageType
    package var orgID: UInt16
    /// 0 = not registered; then `sender` alone tells agents apart.
    package var agentID: UInt16
    package var sender: PeerAddress
    package var transport: ReceivedPayload.Transport
    /// Wall clock of the receiver, nanoseconds.
    package var firstNs: UInt64
    package var lastNs: UInt64
    package var frames: UInt64
}

/// Status per type and agent, bounded: ids come from the network.
final class AgentStatusTable: Sendable {
    private struct Key: Hashable, Sendable {
        var type: MessageType
        var orgID: UInt16
        var agentID: UInt16
        var sender: PeerAddress?
    }

    private let capacity: Int
    private let entries = Mutex<[Key: AgentStatus]>([:])

    init(capacity: Int) { self.capacity = capacity }

    /// Updates the entry of the frame's sender; a full table forgets the entry that was silent longest.
    func saw(
        _ header: FrameHeader, orgID: UInt16, from sender: PeerAddress, transport: ReceivedPayload.Transport,
        nowNs: UInt64
    ) {
        let agentID = header.identity.agentID
        let key = Key(type: header.type, orgID: orgID, agentID: agentID, sender: agentID == 0 ? sender : nil)
        entries.withLock { entries in
            if var known = entries[key] {
                known.sender = sender
                known.transport = transport
                known.lastNs = nowNs
                known.frames &+= 1
                entries[key] = known
                return
            }
            if entries.count >= capacity, let oldest = entries.min(by: { $0.value.lastNs < $1.value.lastNs }) {
                entries[oldest.key] = nil
            }
            entries[key] = AgentStatus(
                type: header.type, orgID: orgID, agentID: agentID, sender: sender, transport: transport,
                firstNs: nowNs, lastNs: nowNs, frames: 1)
        }
    }

    /// Ordered by organisation, agent, type.
    var all: [AgentStatus] {
        entries.withLock { Array($0.values) }.sorted {
            ($0.orgID, $0.agentID, $0.type.rawValue, $0.sender.text)
                < ($1.orgID, $1.agentID, $1.type.rawValue, $1.sender.text)
        }
    }
}
