import Capture
import Model

/// The dispatchers of a live capture and what each of them captures, kept up to date. Used by one thread.
/// Source: agent-flow.md 5.1, 5.4.
final class LiveCapture {
    /// What a dispatcher captures on.
    private enum Scope: Equatable {
        case own
        /// One interface of our namespace, by name.
        case interface(String)
        case namespace(NetworkNamespace)
        case ownAndInner
    }

    private struct Seat {
        let lane: CaptureLane
        let scope: Scope
        /// What it was last told of.
        var interfaces: [NetworkInterface] = []
        /// What it captured on is gone.
        var isLeaving = false
    }

    /// Between two looks into other namespaces.
    private static let rescanNs: UInt64 = 15_000_000_000
    private static let mostNamespaces = 256

    private let settings: AgentPipeline.Settings
    private let stages: LiveStages
    private let pace: CapturePace
    private let observer: (any AgentPipeline.Observer)?
    private let filter: CaptureFilter?
    private var machines: MachineMACs
    /// What bridges have learned at interfaces, of the last rescan.
    private var forwarding: [String: String] = [:]
    private var seats: [Seat] = []
    private var isStarted = false
    /// What dispatchers counted that are no more, by their number, which others may bear by now.
    private var ended: [Int: DispatcherCounters] = [:]
    /// Of the last look into other namespaces.
    private var inner: [(space: NetworkNamespace, interfaces: [NetworkInterface])] = []
    private var numbers = InterfaceNumbers()
    /// Namespaces, by inode, whose ring a group has.
    private var openKeys: Set<UInt64> = []
    private var rescannedNs: UInt64 = 0

    /// Opens the engines and begins to capture; the lanes' threads are not yet started.
    init(
        settings: AgentPipeline.Settings, stages: LiveStages, observer: (any AgentPipeline.Observer)?
    ) throws(Failure) {
        self.settings = settings
        self.stages = stages
        self.observer = observer
        machines = settings.machines
        if let expression = settings.filter, !settings.isFilterDisabled {
            filter = try CaptureFilter(expression)
        } else {
            filter = nil
        }
        // An analyzer has no limit. Source: agent-flow.md 3 (`max_capture_pps`).
        let isLimited = settings.mirror.mode != .analyzer
        pace = CapturePace(perSecond: isLimited ? settings.maxPacketsPerSecond : 0)
        rescan()
        // All engines are there before the first begins: a group of rings deals out among those that have joined.
        for (source, scope) in try open() { seats.append(seat(source, scope)) }
        for at in seats.indices { try seats[at].lane.open(on: watch(&seats[at]).watch) }
    }

    private func seat(_ source: LaneSource, _ scope: Scope) -> Seat {
        let taken = Set(seats.map(\.lane.number))
        let number = (0...seats.count).first { !taken.contains($0) } ?? seats.count
        return Seat(
            lane: CaptureLane(
                number: number, source: source, settings: settings, stages: stages, pace: pace, observer: observer),
            scope: scope)
    }

    // MARK: - Threads

    func start() {
        isStarted = true
        for seat in seats { seat.lane.start() }
    }

    /// False once a dispatcher has ended by itself.
    var isRunning: Bool { seats.allSatisfy { $0.lane.isRunning || $0.isLeaving } }

    /// Reads what the engines still hold and ends.
    func end() {
        for seat in seats { seat.lane.end() }
        for seat in seats { seat.lane.join() }
    }

    /// Why a dispatcher has ended.
    var failure: Failure? { seats.lazy.compactMap(\.lane.failure).first }

    /// Of each number, with those of dispatchers that bore it before. The greatest values start anew.
    func takeCounters() -> [DispatcherCounters] {
        var all = ended
        for seat in seats {
            var counters = seat.lane.takeCounters()
            if let earlier = ended[counters.number] { counters.add(earlier) }
            all[counters.number] = counters
        }
        return all.values.sorted { $0.number < $1.number }
    }

    /// All that is captured on.
    var interfaces: [NetworkInterface] {
        seats.reduce(into: []) { all, seat in
            for interface in seat.interfaces where !all.contains(interface) { all.append(interface) }
        }
    }

    // MARK: - Engines

    private func open() throws(Failure) -> [(LaneSource, Scope)] {
        switch LaneLayout(settings) {
        case .shared(let count): try openShared(count)
        case .byNamespace: try scopes().map { scope throws(Failure) in (try open(scope), scope) }
        case .byInterface: try openByInterface()
        case .acrossNamespaces: [(.several(SourceGroup(pollMs: settings.ring.pollMs)), .ownAndInner)]
        }
    }

    private func openShared(_ count: Int) throws(Failure) -> [(LaneSource, Scope)] {
        var ring = settings.ring
        if count > 1 { ring.fanout = PacketRing.Fanout(mode: settings.fanout.mode) }
        var opened: [(LaneSource, Scope)] = []
        for _ in 0..<count {
            let source = try openSource(ring)
            opened.append((.one(source), .own))
            // Every libpcap handle would see every packet.
            if case .pcap = source { break }
        }
        return opened
    }

    private func openByInterface() throws(Failure) -> [(LaneSource, Scope)] {
        var opened: [(LaneSource, Scope)] = []
        for interface in try ownInterfaces() {
            var ring = settings.ring
            ring.interface = interface.index
            opened.append((.one(try openSource(ring)), .interface(interface.name)))
        }
        guard opened.isEmpty else { return opened }
        throw Failure(
            .notFound, what: "cannot capture mirrored traffic",
            why: "no interface matches \(settings.interfaces.pattern)",
            mend: "name one: -i IFACE")
    }

    /// Our namespace and the extra ones, those with interfaces to capture on. Source: agent-flow.md 5.1.
    private func scopes() throws(Failure) -> [Scope] {
        var scopes: [Scope] = []
        if !(try ownInterfaces()).isEmpty { scopes.append(.own) }
        let all = NetworkNamespace.named()
        let wanted = settings.namespaces.extra?.matching(all.map(\.name)) ?? []
        for space in all where wanted.contains(space.name) && !interfaces(in: space).isEmpty {
            scopes.append(.namespace(space))
        }
        // Numbers of dispatchers have a byte in the ids of flows.
        return Array(scopes.prefix(LiveCapture.mostNamespaces))
    }

    private func open(_ scope: Scope) throws(Failure) -> LaneSource {
        guard case .namespace(let space) = scope else { return .one(try openSource(settings.ring)) }
        return .one(try openSource(settings.ring, in: space))
    }

    private func openSource(_ ring: PacketRing.Settings) throws(Failure) -> LiveSource {
        try LiveSource.open(ring, usesLibpcap: settings.usesLibpcap, batch: Dispatcher.batch)
    }

    private func openSource(_ ring: PacketRing.Settings, in space: NetworkNamespace) throws(Failure) -> LiveSource {
        let usesLibpcap = settings.usesLibpcap
        return try space.run { () throws(Failure) in
            try LiveSource.open(ring, usesLibpcap: usesLibpcap, batch: Dispatcher.batch)
        }
    }

    // MARK: - Interfaces

    /// Tells the dispatchers of interfaces and namespaces that have come or gone.
    func refresh() {
        let isRescan = monotonicNs() >= rescannedNs &+ LiveCapture.rescanNs
        if isRescan { rescan() }
        dismiss()
        if isRescan, LaneLayout(settings) == .byNamespace { followNamespaces() }
        for at in seats.indices where !seats[at].isLeaving {
            if case .namespace = seats[at].scope, !isRescan { continue }
            guard let next = try? watch(&seats[at]), next.isNew else { continue }
            seats[at].lane.order(next.watch)
        }
    }

    /// A dispatcher for each namespace that has come; those whose namespace has gone, or all that was captured in it, end.
    /// The kernel keeps a namespace as long as a ring is open in it.
    private func followNamespaces() {
        guard let wanted = try? scopes() else { return }
        for at in seats.indices where !wanted.contains(seats[at].scope) {
            seats[at].isLeaving = true
            seats[at].lane.end()
        }
        // One that cannot be entered is tried again at the next rescan.
        for scope in wanted where !seats.contains(where: { $0.scope == scope && !$0.isLeaving }) {
            guard seats.count < LiveCapture.mostNamespaces, let source = try? open(scope) else { continue }
            var next = seat(source, scope)
            guard let watch = try? watch(&next).watch, (try? next.lane.open(on: watch)) != nil else { continue }
            if isStarted { next.lane.start() }
            seats.append(next)
        }
    }

    /// Lets go of dispatchers that have ended because they were asked to.
    private func dismiss() {
        seats.removeAll { seat in
            guard seat.isLeaving, !seat.lane.isRunning else { return false }
            seat.lane.join()
            var counters = seat.lane.takeCounters()
            if let earlier = ended[counters.number] { counters.add(earlier) }
            ended[counters.number] = counters.ended
            return true
        }
    }

    /// What a lane is to capture, and whether that is new to it.
    private func watch(_ seat: inout Seat) throws(Failure) -> (watch: CaptureLane.Watch, isNew: Bool) {
        var places: [SourceGroup.Place] = []
        var interfaces: [NetworkInterface] = []
        switch seat.scope {
        case .own:
            interfaces = try ownInterfaces()
            places = [place(interfaces)]
        case .interface(let name):
            interfaces = try ownInterfaces().filter { $0.name == name }
            places = [place(interfaces)]
        case .namespace(let space):
            interfaces = self.interfaces(in: space)
            places = [place(interfaces)]
        case .ownAndInner:
            let own = try ownInterfaces()
            places.append(try place(own, in: nil))
            interfaces = numbers.numbered(own, key: NetworkNamespace.own)
            for (space, found) in inner {
                // One that cannot be entered is tried again at the next rescan.
                guard let place = try? place(found, in: space) else { continue }
                places.append(place)
                interfaces += numbers.numbered(found, key: space.inode)
            }
            openKeys.formIntersection(places.map(\.key))
        }
        let isNew = interfaces != seat.interfaces
        seat.interfaces = interfaces
        return (
            CaptureLane.Watch(
                places: places, interfaces: interfaces, labeler: settings.identity.knowing(interfaces)), isNew
        )
    }

    private func ownInterfaces() throws(Failure) -> [NetworkInterface] {
        named(try settings.interfaces.resolve(NetworkInterface.all()))
    }

    private func interfaces(in space: NetworkNamespace) -> [NetworkInterface] {
        let selection = InterfaceSelection(pattern: settings.interfaces.pattern)
        return named((try? selection.resolve(space.interfaces())) ?? [])
    }

    /// With the MACs that records name them by.
    private func named(_ interfaces: [NetworkInterface]) -> [NetworkInterface] {
        machines.apply(to: interfaces) { [self] name in
            if let known = forwarding[name] { return known }
            let text = ProgramOutput.text("bridge", ["fdb", "show", "dev", name])
            forwarding[name] = text
            return text
        }.bonded(settings.bondMembers)
    }

    private func place(_ interfaces: [NetworkInterface]) -> SourceGroup.Place {
        SourceGroup.Place(key: 0, rule: rule(interfaces), numbers: [:], source: nil)
    }

    /// Of a group; with a new ring the first time. nil = our own namespace.
    private func place(
        _ interfaces: [NetworkInterface], in space: NetworkNamespace?
    ) throws(Failure) -> SourceGroup.Place {
        let key = space?.inode ?? NetworkNamespace.own
        var source: LiveSource?
        if !openKeys.contains(key) {
            if let space {
                source = try openSource(settings.ring, in: space)
            } else {
                source = try openSource(settings.ring)
            }
            openKeys.insert(key)
        }
        return SourceGroup.Place(
            key: key, rule: rule(interfaces), numbers: numbers.table(interfaces, key: key), source: source)
    }

    private func rescan() {
        rescannedNs = monotonicNs()
        forwarding = [:]
        if machines.source == .libvirt, !settings.machineScript.isEmpty {
            machines.mapped = MachineMACs.mapping(ProgramOutput.text(settings.machineScript))
        }
        guard LaneLayout(settings) == .acrossNamespaces, let pattern = settings.namespaces.inner else { return }
        let ends = NetworkInterface.all().reduce(into: [Int32: Int32]()) { $0[$1.index] = $1.peer }
        inner = NetworkNamespace.all().compactMap { space in
            let found = try? space.run { () throws(Failure) in
                let all = NetworkInterface.all()
                let names = pattern.matching(all.map(\.name))
                // The cable's other end is ours, and says the same of it.
                return all.filter { interface in
                    guard names.contains(interface.name), let peer = interface.peer else { return false }
                    return ends[peer] == interface.index
                }
            }
            return found.flatMap { $0.isEmpty ? nil : (space, $0) }
        }
    }

    private func rule(_ interfaces: [NetworkInterface]) -> CaptureRule {
        CaptureRule(
            interfaces: interfaces, whole: settings.wholePacketInterfaces, filter: filter,
            own: settings.isFilterDisabled ? nil : settings.own,
            snapLength: settings.ring.snapLength,
            isPromiscuous: settings.isPromiscuous, isIncomingOnly: settings.mirror.mode == .analyzer)
    }
}

/// Numbers by which the dispatcher of several namespaces knows interfaces; kernel indexes are only unique in one.
struct InterfaceNumbers {
    private struct Key: Hashable {
        let space: UInt64
        let index: Int32
    }

    private var numbers: [Key: Int32] = [:]
    private var next: Int32 = 1

    private mutating func number(_ interface: NetworkInterface, _ space: UInt64) -> Int32 {
        let key = Key(space: space, index: interface.index)
        if let known = numbers[key] { return known }
        numbers[key] = next
        next += 1
        return next - 1
    }

    /// The interfaces of a namespace with their numbers instead of indexes.
    mutating func numbered(_ interfaces: [NetworkInterface], key space: UInt64) -> [NetworkInterface] {
        interfaces.map { interface in
            var known = interface
            known.index = number(interface, space)
            return known
        }
    }

    /// Numbers of the interfaces of a namespace by kernel index.
    mutating func table(_ interfaces: [NetworkInterface], key space: UInt64) -> [Int32: Int32] {
        interfaces.reduce(into: [:]) { $0[$1.index] = number($1, space) }
    }
}
