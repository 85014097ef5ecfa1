package import EngineAPI
import Glibc
package import Model

/// The screens over an engine.
package enum TUIApp {
    package struct Options: Sendable {
        /// How often the screen asks for news.
        package var refreshMs: UInt64 = 1000
        /// `dark`, `light` or `plain`.
        package var theme = "dark"
        /// Whether `D` may leave the engine running.
        package var canDetach = false
        package var exportFolder = "."

        package init() {}
    }

    /// Why the screens ended.
    package enum Ending: Sendable, Equatable {
        case quit
        case detach
        /// A stop signal, by number.
        case signal(Int32)
    }

    /// Shows the screens until the reader leaves. Blocks; call it on the main thread.
    /// - Throws: when there is no usable terminal. The terminal is as it was in every case.
    package static func run(engine: any EngineView, options: Options = Options()) throws(Failure) -> Ending {
        let wake = try Pipe()
        let theme = Theme.named(options.theme) ?? .dark
        var terminal = try Terminal(theme: theme, wake: wake.writeEnd)
        defer { terminal.close() }
        let worker = try EngineWorker(engine: engine, wake: wake.writeEnd)
        defer { worker.stop() }
        var settings = Application.Settings()
        settings.refreshMs = options.refreshMs
        settings.canDetach = options.canDetach
        settings.theme = theme.name
        settings.exportFolder = options.exportFolder
        let size = terminal.size
        var app = Application(rows: size.rows, columns: size.columns, settings: settings)
        app.nowMs = wallClockNs() / 1_000_000
        return loop(&app, &terminal, worker, wake)
    }

    private static func loop(
        _ app: inout Application, _ terminal: inout Terminal, _ worker: EngineWorker, _ wake: Pipe
    ) -> Ending {
        var isChanged = true
        while true {
            for event in events(&terminal, worker) {
                let effects = app.handle(event, nowMs: wallClockNs() / 1_000_000)
                if case .tick = event, effects.isEmpty {} else { isChanged = true }
                for effect in effects {
                    if let ending = perform(effect, &terminal, worker) { return ending }
                }
            }
            if isChanged {
                terminal.show(app.render())
                isChanged = false
            }
            if let signal = wait(wake) { return .signal(signal) }
        }
    }

    /// Keys first: they must not wait behind answers.
    private static func events(_ terminal: inout Terminal, _ worker: EngineWorker) -> [Event] {
        var events: [Event] = []
        while events.count < 256, let input = terminal.next() {
            switch input {
            case .key(let key): events.append(.key(key))
            case .resize:
                let size = terminal.size
                events.append(.resize(rows: size.rows, columns: size.columns))
            }
        }
        return events + worker.take() + [.tick]
    }

    private static func perform(_ effect: Effect, _ terminal: inout Terminal, _ worker: EngineWorker) -> Ending? {
        switch effect {
        case .ask(let slot, let question): worker.ask(slot, question)
        case .copy(let text): terminal.copy(text)
        case .export(let job): worker.export(job)
        case .theme(let name): if let theme = Theme.named(name) { terminal.use(theme) }
        case .suspend: terminal.suspend()
        case .quit: return .quit
        case .detach: return .detach
        }
        return nil
    }

    /// Until a key, an answer, a signal, or a tenth of a second.
    private static func wait(_ wake: Pipe) -> Int32? {
        var items = [
            pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0),
            pollfd(fd: wake.readEnd, events: Int16(POLLIN), revents: 0),
        ]
        guard poll(&items, 2, 100) > 0 else { return nil }
        if items[0].revents & Int16(POLLHUP | POLLERR | POLLNVAL) != 0 { return SIGHUP }
        guard items[1].revents & Int16(POLLIN) != 0 else { return nil }
        return wake.drain().first { $0 != 0 }.map { Int32($0) }
    }
}
