import Synchronization
package import Wire

/// Counters of the receiver since its start. The first three have the reference's names; its delay and disorder
/// counters rest on numbers that no agent sends, so they are absent. Source: wire.md 6.5.
package struct ReceiverCounters: Sendable, Equatable {
    /// Empty frames, cut or overlong payloads, unknown encoders, org ids above 1024, bad datagrams.
    package var invalid: UInt64 = 0
    /// Frames of a type without handler.
    package var unregistered: UInt64 = 0
    /// The same by type, those that came only.
    package var unregisteredTypes: [MessageType: UInt64] = [:]
    /// TCP frames.
    package var rxPackets: UInt64 = 0
    package var rxDatagrams: UInt64 = 0
    package var rxBytes: UInt64 = 0
    /// Connections closed for an unknown type or an impossible size.
    package var refusedFrames: UInt64 = 0
    /// Payloads that could not be inflated; handed on as they came.
    package var inflateErrors: UInt64 = 0
    /// Connections turned away above the bound.
    package var refusedConnections: UInt64 = 0
    /// Connections closed for standing still inside a frame.
    package var stalledConnections: UInt64 = 0
    /// Payloads lost, and connections closed, because the bound on waiting bytes was reached.
    package var overBudget: UInt64 = 0
    /// Connections open now.
    package var connections: UInt64 = 0

    package init() {}
}

/// The counters as many threads count them.
final class ReceiverTally: Sendable {
    let invalid = Atomic<UInt64>(0)
    let unregistered = Atomic<UInt64>(0)
    private let unregisteredTypes = Mutex<[MessageType: UInt64]>([:])
    let rxPackets = Atomic<UInt64>(0)
    let rxDatagrams = Atomic<UInt64>(0)
    let rxBytes = Atomic<UInt64>(0)
    let refusedFrames = Atomic<UInt64>(0)
    let inflateErrors = Atomic<UInt64>(0)
    let refusedConnections = Atomic<UInt64>(0)
    let stalledConnections = Atomic<UInt64>(0)
    let overBudget = Atomic<UInt64>(0)
    let connections = Atomic<UInt64>(0)

    func countUnregistered(_ type: MessageType) {
        unregistered.count()
        unregisteredTypes.withLock { $0[type, default: 0] += 1 }
    }

    var snapshot: ReceiverCounters {
        var counters = ReceiverCounters()
        counters.invalid = invalid.load(ordering: .relaxed)
        counters.unregistered = unregistered.load(ordering: .relaxed)
        counters.unregisteredTypes = unregisteredTypes.withLock { $0 }
        counters.rxPackets = rxPackets.load(ordering: .relaxed)
        counters.rxDatagrams = rxDatagrams.load(ordering: .relaxed)
        counters.rxBytes = rxBytes.load(ordering: .relaxed)
        counters.refusedFrames = refusedFrames.load(ordering: .relaxed)
        counters.inflateErrors = inflateErrors.load(ordering: .relaxed)
        counters.refusedConnections = refusedConnections.load(ordering: .relaxed)
        counters.stalledConnections = stalledConnections.load(ordering: .relaxed)
        counters.overBudget = overBudget.load(ordering: .relaxed)
        counters.connections = connections.load(ordering: .relaxed)
        return counters
    }
}

extension Atomic where Value == UInt64 {
    /// Counts one more, or `more`, and returns the new value.
    @discardableResult
    func count(_ more: UInt64 = 1) -> UInt64 { wrappingAdd(more, ordering: .relaxed).newValue }
}
