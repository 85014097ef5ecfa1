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
        stages.start()
        capture.start()
        onReady(capture.interfaces)
        var nextCheckNs = monotonicNs() &+ 500_000_000
        while !isStopped, capture.isRunning, !isSatisfied() {
            usleep(50_000)
            guard monotonicNs() >= nextCheckNs else { continue }
            nextCheckNs = monotonicNs() &+ 500_000_000
            takeCounters(capture, stages)
            capture.refresh()
        }
        capture.end()
        stages.finish()
        takeCounters(capture, stages)
        sink.flush()
        if let failure = capture.failure { throw failure }
    }

    private func takeCounters(_ capture: LiveCapture, _ stages: LiveStages) {
        let readings = capture.takeCounters()
        state.withLock { counters in
            counters.set(readings)
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
