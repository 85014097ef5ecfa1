import ArgumentParser
import EngineAPI
import Model
import Pipeline
import TUI

#if canImport(Glibc)
    import Glibc
#endif

/// `dftop` without a subcommand: agent, server and screens in one process.
struct WorkstationCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "workstation", abstract: "Capture, store and show in one process (the default).",
        shouldDisplay: false)

    @OptionGroup var capture: CaptureOptions

    @Option(name: .customLong("data-dir"), help: ArgumentHelp("Folder of the embedded store.", valueName: "dir"))
    var dataDir: String?

    @Option(help: ArgumentHelp("Colours: dark, light or plain.", valueName: "name"))
    var theme: String = "dark"

    func run() throws {
        let needsTerminal = Failure(
            .usage, what: "the screens need a terminal", why: "input or output is not one",
            mend: "use dftop print for pipes and scripts, dftop daemon without a terminal")
        guard isatty(0) == 1 || capture.read.contains("-"), isatty(1) == 1 else { throw needsTerminal }
        var replay = capture.read
        if isatty(0) != 1 {
            // The capture comes in where keys usually do; keys then come from the terminal itself.
            let input = dup(0)
            let keys = open("/dev/tty", O_RDWR | O_CLOEXEC)
            guard input >= 0, keys >= 0, dup2(keys, 0) == 0 else { throw needsTerminal }
            close(keys)
            replay = replay.map { $0 == "-" ? "/dev/fd/\(input)" : $0 }
        }
        LogRing.bootstrap()
        var config = try capture.config()
        if !capture.isReplay { config.becomeLive() }
        let engine = try Engine(
            Engine.Options(config: config, replay: replay, dataDirectory: dataDir, hasAgent: true))
        do {
            try engine.start(address: capture.isReplay ? nil : .local())
        } catch {
            engine.stop()
            throw error
        }
        defer { engine.stop() }
        var options = TUIApp.Options()
        options.theme = theme
        _ = try TUIApp.run(engine: engine.live, options: options)
        if let failure = engine.failure { throw failure }
    }
}

/// `dftop attach`: the screens of an engine that runs elsewhere.
struct AttachCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attach", abstract: "The screens of a running daemon or server.")

    @Argument(help: ArgumentHelp("Socket path or HOST:PORT; the local daemon when left out.", valueName: "address"))
    var address: String?

    @Option(help: ArgumentHelp("Colours: dark, light or plain.", valueName: "name"))
    var theme: String = "dark"

    func run() throws {
        let address = try address.map { try EngineAddress.parse($0) } ?? .local()
        let client = try EngineClient(connectingTo: address)
        var options = TUIApp.Options()
        options.theme = theme
        _ = try TUIApp.run(engine: client, options: options)
    }
}
