package import Capture
package import Model
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

extension AgentPipeline {
    /// Captures until `stop` is called or `isSatisfied` says so, then flushes what was captured.
    ///
    /// Each dispatcher has its thread; this one looks after them: interfaces that come and go, counters, the end.
    /// - Parameter onReady: called once capture runs, with the interfaces.
    package func capture(
        observer: (any Observer)? = nil, isSatisfied: () -> Bool = { false },
        onReady: ([NetworkInterface]) -> Void = { _ in }
    ) throws(Failure) {
        let stages = LiveStages(settings: settings, sink: sink)
        let capture = try LiveCapture(settings: settings, stages: stages, observer: observer)
        let lanes = capture.lanes
        stages.start()
        for lane in lanes { lane.start() }
        onReady(capture.interfaces)
        var nextCheckNs = monotonicNs() &+ 500_000_000
        while !isStopped, lanes.allSatisfy(\.isRunning), !isSatisfied() {
            usleep(50_000)
            guard monotonicNs() >= nextCheckNs else { continue }
            nextCheckNs = monotonicNs() &+ 500_000_000
            takeCounters(lanes, stages)
            capture.refresh()
        }
        for lane in lanes { lane.end() }
        for lane in lanes { lane.join() }
        stages.finish()
        takeCounters(lanes, stages)
        sink.flush()
        for lane in lanes { if let failure = lane.failure { throw failure } }
    }

    private func takeCounters(_ lanes: [CaptureLane], _ stages: LiveStages) {
        state.withLock { counters in
            counters.startSum()
            for lane in lanes { lane.takeCounters(into: &counters) }
            stages.copyCounters(into: &counters)
            counters.isPeriodTaken = false
        }
    }
}

extension EndpointLabeler {
    /// With the addresses of these interfaces as local ones.
    func knowing(_ interfaces: [NetworkInterface]) -> EndpointLabeler {
        var local = Set<EndpointLabeler.Local>()
        for interface in interfaces where interface.isUp && interface.mac != 0 {
            for ip in interface.addresses + interface.v6Addresses { local.insert(.init(mac: interface.mac, ip: ip)) }
        }
        return EndpointLabeler(agentType: agentType, localEPC: localEPC, forwardTable: local)
    }
}
