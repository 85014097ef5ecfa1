package import Logging
import Model
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// One TCP connection that senders share: a mutex is held for the whole write of a frame, so frames of several types
/// interleave and never tear. Source: wire.md 5.1, 5.3.
package final class DataLink: Sendable {
    package enum Outcome: Sendable, Equatable {
        case sent
        /// No destination, or the back-off has not passed; the reference discards without counting.
        case notConnected
        /// This attempt failed; the frame is lost.
        case connectFailed(String)
        /// The connection broke; the frame is lost, the connection closed.
        case writeFailed(String)
    }

    package struct Settings: Sendable {
        package var connectTimeoutMs: Int32 = 5000
        /// A peer that takes nothing for so long is given up; the reference would block all its senders forever.
        package var stallMs = 30_000
        /// False: try at every frame.
        package var backsOff = true

        package init() {}
    }

    private struct State: ~Copyable {
        var destination: Destination
        var socket: DataSocket?
        var policy = ReconnectPolicy()
    }

    private let settings: Settings
    private let state: Mutex<State>
    private let stopping = Atomic(false)
    private let logger: Logger

    init(destination: Destination, settings: Settings, logger: Logger) {
        self.settings = settings
        self.logger = logger
        state = Mutex(State(destination: destination, socket: nil))
    }

    package var destination: Destination { state.withLock { $0.destination } }

    /// A changed destination takes effect at the next frame, without back-off.
    func set(destination: Destination) {
        state.withLock { state in
            guard state.destination != destination else { return }
            state.destination = destination
            state.socket = nil
            state.policy.reset()
        }
    }

    /// Sends one whole frame, connecting first where there is no connection.
    func send(_ frame: UnsafeRawBufferPointer) -> Outcome {
        state.withLock { state in
            if let trouble = state.socket?.hangUp() {
                logger.info("sender connection ended", metadata: ["why": "\(trouble.why)"])
                state.socket = nil
                if !settings.backsOff { return .writeFailed(trouble.why) }
            }
            if let refused = connect(&state) { return refused }
            do throws(SocketTrouble) {
                try state.socket?.write(frame) {
                    stopping.load(ordering: .relaxed) ? min(settings.stallMs, 2000) : settings.stallMs
                }
                return .sent
            } catch {
                state.socket = nil
                logger.warning(
                    "sender lost its connection",
                    metadata: ["peer": "\(state.destination.text)", "why": "\(error.why)"])
                return .writeFailed(error.why)
            }
        }
    }

    /// Connects now; for those who want to know before they start.
    func connectNow() -> Outcome { state.withLock { connect(&$0) ?? .sent } }

    /// Nil when there is a connection.
    private func connect(_ state: inout State) -> Outcome? {
        if state.socket != nil { return nil }
        guard !state.destination.isNone else { return .notConnected }
        let now = wallClockNs() / 1_000_000_000
        if settings.backsOff, !state.policy.mayConnect(now: now) { return .notConnected }
        do throws(SocketTrouble) {
            state.socket = try DataSocket(to: state.destination, timeoutMs: settings.connectTimeoutMs)
            state.policy.reset()
            logger.info("sender connected", metadata: ["peer": "\(state.destination.text)"])
            return nil
        } catch {
            state.policy.failed(now: now, random: UInt64.random(in: 0..<ReconnectPolicy.spread))
            logger.warning(
                "sender cannot connect", metadata: ["peer": "\(state.destination.text)", "why": "\(error.why)"])
            return .connectFailed(error.why)
        }
    }

    /// The process ends: a peer that takes nothing is given up after 2 s.
    func stop() { stopping.store(true, ordering: .relaxed) }

    /// Closes the connection; the next frame opens a new one.
    func disconnect() { state.withLock { $0.socket = nil } }

    /// Ends the connection after everything written was read by the peer; what went wrong otherwise.
    func finish(timeoutMs: Int) -> String? {
        state.withLock { state in
            let trouble = state.socket?.finish(timeoutMs: timeoutMs)
            state.socket = nil
            return trouble?.why
        }
    }
}

/// The connections of all senders: one for everybody, or one per group. Source: wire.md 5, 5.1.
package final class SenderLinks: Sendable {
    /// Who shares a connection when there are several.
    package enum Group: Sendable, Hashable {
        case own(queue: String)
        /// Types 7 and 8; types 9 and 12; types 10 and 18.
        case p, k, s
    }

    private struct State: Sendable {
        var destination: Destination
        var isMultiple: Bool
        var groups: [Group: DataLink] = [:]
    }

    private let settings: DataLink.Settings
    private let logger: Logger
    private let shared: DataLink
    private let state: Mutex<State>

    package init(
        destination: Destination, isMultiple: Bool = false, settings: DataLink.Settings = DataLink.Settings(),
        logger: Logger
    ) {
        self.settings = settings
        self.logger = logger
        shared = DataLink(destination: destination, settings: settings, logger: logger)
        state = Mutex(State(destination: destination, isMultiple: isMultiple))
    }

    func link(_ group: Group) -> DataLink {
        state.withLock { state in
            guard state.isMultiple else { return shared }
            if let known = state.groups[group] { return known }
            let made = DataLink(destination: state.destination, settings: settings, logger: logger)
            state.groups[group] = made
            return made
        }
    }

    package var destination: Destination { state.withLock { $0.destination } }

    package func set(destination: Destination) {
        let groups = state.withLock { state in
            state.destination = destination
            return Array(state.groups.values)
        }
        for link in groups + [shared] { link.set(destination: destination) }
    }

    /// A change of mode closes the connections of the other one.
    package func set(isMultiple: Bool) {
        let unused = state.withLock { state -> [DataLink] in
            guard state.isMultiple != isMultiple else { return [] }
            state.isMultiple = isMultiple
            let groups = Array(state.groups.values)
            if !isMultiple { state.groups = [:] }
            return isMultiple ? [shared] : groups
        }
        for link in unused { link.disconnect() }
    }

    var all: [DataLink] { state.withLock { Array($0.groups.values) } + [shared] }
}
