import ArgumentParser
import Capture
import Logging
import Model
import Pipeline
import Wire
import Yams

#if canImport(Glibc)
    import Glibc
#endif

/// `dftop agent`: the headless agent.
struct AgentCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent",
        abstract: "Capture and report to a server; with -r send a capture and end.",
        discussion: """
            Records go over TCP to the ingester given by --ingester, or by global.communication.ingester_ip of the \
            configuration file. With -r the command ends when the server has read everything.
            """)

    @Option(
        help: ArgumentHelp("YAML file: deepflow-agent.yaml keys, or the agent configuration tree.", valueName: "file"))
    var config: String?

    @Option(help: ArgumentHelp("Where records go; without a port 20033.", valueName: "host:port"))
    var ingester: String?

    @Option(help: ArgumentHelp("Controller to register with; without a port 20035.", valueName: "host:port"))
    var controller: String?

    @OptionGroup var capture: CaptureOptions

    func run() throws {
        Interruption.block()
        var config = try capture.config(base: try self.config.map { try AgentCommand.read($0) } ?? AgentConfig())
        if !capture.isReplay { config.becomeLive() }
        if controller != nil {
            standardError(
                "dftop: this build does not register with controllers; records go to the ingester all the same")
        }
        let destination = try AgentCommand.destination(ingester, config)
        var settings = SenderSink.Settings(destination: destination)
        settings.identity = FrameIdentity(agentID: config.pipeline.flow.agentID, teamID: 1, orgID: 1)
        settings.isReplay = capture.isReplay
        settings.hasOwnConnections = config.sender.usesSeveralSockets
        settings.documentQueueSize = config.sender.documentQueueSize
        settings.flowQueueSize = config.pipeline.queues.flowGenerator
        settings.l7QueueSize = config.sender.l7QueueSize
        settings.compressesFlows = config.sender.compressesL4
        settings.compressesL7 = config.sender.compressesL7
        settings.maxThroughputMbps = config.sender.maxThroughputMbps
        settings.overflow = config.sender.dropsOnOverflow ? .drop : .wait
        config.pipeline.own = AgentCommand.ownTraffic(toward: destination, config)
        let sink = SenderSink(settings)
        let pipeline = AgentPipeline(settings: config.pipeline, sink: sink)
        Interruption.onSignal { pipeline.stop() }
        try sink.start()
        if capture.isReplay {
            let bar = ProgressBar()
            var failure: Failure?
            var troubles: [(path: String, trouble: CaptureFile.Trouble)] = []
            do { troubles = try pipeline.replay(capture.read, progress: bar.show) } catch { failure = error }
            bar.clear()
            try sink.finish()
            for (path, trouble) in troubles { complain(CaptureTrouble(path: path, trouble: trouble)) }
            if let failure { throw failure }
            if !troubles.isEmpty { throw Model.ExitCode.partlyDone }
        } else {
            let logger = Logger(label: "dftop.agent")
            let statistics = StatsCollector(of: pipeline, settings: config.statistics, sink: sink)
            statistics.register("senders") { sink.takeStats() }
            statistics.start()
            let ended = Result {
                try pipeline.capture(onReady: { interfaces in
                    logger.info(
                        "capture runs",
                        metadata: [
                            "interfaces": "\(interfaces.map(\.name).joined(separator: ","))",
                            "ingester": "\(destination.text)",
                        ])
                })
            }
            statistics.stop()
            Self.tell(pipeline.counters(), logger)
            try ended.get()
            try sink.finish()
        }
    }

    /// What came in and what was lost of it, as a capture program tells at its end.
    private static func tell(_ counters: PipelineCounters, _ logger: Logger) {
        let received = counters.dispatcher.receive
        var told: Logger.Metadata = [
            "packets": "\(received.rxAll)", "bytes": "\(received.rxAllBytes)",
            "dropped_by_kernel": "\(received.kernel.drops)",
        ]
        let lost = counters.lostPackets + counters.lostRecords
        if !lost.isEmpty { told["lost"] = "\(lost.map { "\($0.place) \($0.count)" }.joined(separator: ", "))" }
        logger.info("capture ended", metadata: told)
    }

    static func destination(_ given: String?, _ config: AgentConfig) throws -> Destination {
        if let given {
            guard let destination = Destination(given) else {
                throw Failure(
                    .usage, what: "--ingester \(given) is no address", why: "it must be HOST or HOST:PORT",
                    mend: "for example --ingester 127.0.0.1:20033")
            }
            return destination
        }
        guard !config.sender.ingesterHost.isEmpty else {
            throw Failure(
                .usage, what: "no ingester is given", why: "the agent would have nowhere to send to",
                mend: "add --ingester HOST:PORT, or global.communication.ingester_ip to the configuration file")
        }
        return Destination(host: config.sender.ingesterHost, port: config.sender.ingesterPort)
    }

    /// Bootstrap keys (kebab-case) belong to the controller's part and are accepted; trees of the agent configuration apply.
    static func read(_ path: String) throws -> AgentConfig {
        guard let file = fopen(path, "r") else {
            throw Failure(
                errno == EACCES ? .notPermitted : .notFound, what: "cannot read \(path)",
                why: String(cString: strerror(errno)),
                mend: "check the name given to --config")
        }
        defer { fclose(file) }
        let limit = 16 << 20
        var bytes = [UInt8](repeating: 0, count: limit + 1)
        let count = fread(&bytes, 1, bytes.count, file)
        guard count <= limit else {
            throw Failure(
                .invalidInput, what: "cannot read \(path)", why: "it has more than \(limit >> 20) MiB",
                mend: "an agent configuration has a few KiB; check the name given to --config")
        }
        let node: Node?
        do {
            node = try Yams.compose(yaml: String(decoding: bytes[..<count], as: UTF8.self))
        } catch {
            throw Failure(.invalidInput, what: "cannot read \(path)", why: "it is not YAML: \(error)")
        }
        var config = AgentConfig()
        guard case .map(let entries) = ConfigValue(node) else { return config }
        for entry in entries {
            guard ["global", "inputs", "processors", "outputs", "plugins", "dev"].contains(entry.key) else { continue }
            try config.set(tree: entry.value, under: entry.key)
        }
        return config
    }

    /// What this agent does not capture: its own way to the ingester among others. Without a route the address stays open.
    private static func ownTraffic(toward destination: Destination, _ config: AgentConfig) -> OwnTraffic {
        var own = config.own
        own.ingesterPort = destination.port
        if let (ip, isIPv6) = localAddress(toward: destination.host, destination.port) {
            own.localIP = ip
            own.isIPv6 = isIPv6
        }
        return own
    }

    /// Address that this host uses on the way to another; nothing is sent.
    private static func localAddress(toward host: String, _ port: UInt16) -> (ip: IPAddress, isIPv6: Bool)? {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, "\(port)", &hints, &list) == 0, let first = list?.pointee else { return nil }
        defer { freeaddrinfo(list) }
        let probe = socket(first.ai_family, first.ai_socktype | O_CLOEXEC, 0)
        guard probe >= 0 else { return nil }
        defer { close(probe) }
        var name = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        guard connect(probe, first.ai_addr, first.ai_addrlen) == 0 else { return nil }
        return withUnsafeMutableBytes(of: &name) { raw -> (ip: IPAddress, isIPv6: Bool)? in
            guard let address = raw.baseAddress?.assumingMemoryBound(to: sockaddr.self),
                getsockname(probe, address, &length) == 0
            else { return nil }
            if first.ai_family == AF_INET6 { return IPAddress(octets: raw[8..<24]).map { ($0, true) } }
            return (IPAddress(v4: raw[4..<8].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }), false)
        }
    }
}
