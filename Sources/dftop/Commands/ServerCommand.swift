import ArgumentParser
import EngineAPI
import Logging
import Model
import Pipeline
import ServerCore
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Where the headless server listens and stores.
struct ServerOptions: ParsableArguments {
    @Option(name: .customLong("data-dir"), help: ArgumentHelp("Folder of the embedded store.", valueName: "dir"))
    var dataDir: String?

    @Option(
        help: ArgumentHelp(
            "Address that agents connect to; 0.0.0.0 or :: for all. Loopback unless given.", valueName: "address"))
    var bind: String = "127.0.0.1"

    @Option(help: ArgumentHelp("Port for agents, TCP and UDP.", valueName: "port"))
    var port: UInt16 = 20033

    @Option(help: ArgumentHelp("UNIX socket (path) for dfctl and attach.", valueName: "path"))
    var socket: String?

    func address() throws -> EngineAddress {
        guard let socket else { return .local() }
        return try EngineAddress.parse(socket)
    }

    var receiver: Receiver.Settings {
        var settings = Receiver.Settings()
        settings.address = bind
        settings.port = port
        // Fresh screens, and little that a crash can take.
        settings.batchAgeMs = 250
        return settings
    }
}

/// `dftop server`: ingester and store for agents.
struct ServerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "server", abstract: "Take records from agents and store them.",
        discussion:
            "Listens for agents on port 20033 of the loopback address unless told otherwise; dfctl queries it over its socket."
    )

    @OptionGroup var options: ServerOptions

    func run() throws {
        Interruption.block()
        let engine = try Engine(
            Engine.Options(
                config: AgentConfig(), dataDirectory: options.dataDir, hasAgent: false, receiver: options.receiver))
        try engine.runHeadless(address: try options.address())
    }
}

/// `dftop daemon`: agent and server in one headless process.
struct DaemonCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "daemon", abstract: "Agent and server in one headless process, for dftop attach and dfctl.")

    @OptionGroup var capture: CaptureOptions
    @OptionGroup var options: ServerOptions

    func run() throws {
        Interruption.block()
        var config = try capture.config()
        if !capture.isReplay { config.becomeLive() }
        let engine = try Engine(
            Engine.Options(
                config: config, replay: capture.read, dataDirectory: options.dataDir, hasAgent: true,
                receiver: options.receiver))
        try engine.runHeadless(address: try options.address())
    }
}

extension Engine {
    /// Runs until a signal, or until the agent fails; then stops in order.
    func runHeadless(address: EngineAddress) throws {
        let wake = OverwriteQueue<Bool>(name: "headless", capacity: 4)
        Interruption.onSignal { wake.put([true]) }
        do {
            try start(address: address)
        } catch {
            stop()
            throw error
        }
        Logger(label: "dftop").info("dftop runs", metadata: ["socket": "\(address)"])
        waiting: while true {
            switch wake.receive(timeoutMs: 500) {
            case .items, .terminated: break waiting
            case .timedOut: if failure != nil { break waiting }
            }
        }
        stop()
        if let failure { throw failure }
    }
}
