import ArgumentParser
import EngineAPI
import Model

#if canImport(Glibc)
    import Glibc
#endif

/// The command `dfctl`: asks a running dftop. Source: design.md 2.2, cli.md 5.
@main
struct Main: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dfctl",
        abstract: "Ask a running dftop: its state, its tables, its data.",
        discussion: "Talks to the local dftop's socket unless --server or DFCTL_SERVER names another. See dfctl(1).",
        version: "0.1.0",
        subcommands: [StatusCommand.self, QueryCommand.self, ShowCommand.self, CompletionCommand.self])

    static func main() {
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let failure as any Explained {
            standardError("dfctl: " + failure.sentence)
            Glibc.exit(failure.exitCode.rawValue)
        } catch {
            let code = exitCode(for: error)
            let message = fullMessage(for: error)
            if code.isSuccess {
                print(message)
                Glibc.exit(0)
            }
            if !message.isEmpty { standardError(message) }
            Glibc.exit(Model.ExitCode.usage.rawValue)
        }
    }
}

func standardError(_ line: String) {
    var bytes = Array((line + "\n").utf8)
    _ = write(2, &bytes, bytes.count)
}

/// Which engine to ask.
struct ServerOptions: ParsableArguments {
    @Option(
        name: .shortAndLong, help: ArgumentHelp("Socket path or HOST:PORT of the dftop to ask.", valueName: "address"))
    var server: String?

    func ask(_ question: Question) throws -> Answer {
        let given = server ?? getenv("DFCTL_SERVER").map { String(cString: $0) }
        let address = try given.map { text throws(Failure) in try EngineAddress.parse(text) } ?? EngineAddress.local()
        let answer = try EngineClient(connectingTo: address, timeoutSeconds: 30).answer(question)
        if case .failed(let refusal) = answer { throw refusal }
        return answer
    }
}

/// `dfctl status`.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "status", abstract: "What runs and how it fares.")

    @OptionGroup var server: ServerOptions
    @OptionGroup var format: FormatOptions

    func run() throws {
        guard case .status(let status) = try server.ask(.status) else { throw Main.unexpected }
        var rows: [[FieldValue]] = [
            [.text("version"), .text(status.version)], [.text("mode"), .text(status.mode.rawValue)],
            [.text("host"), .text(status.hostname)], [.text("pid"), .int(Int64(status.pid))],
            [.text("sources"), .text(status.sources.joined(separator: ", "))],
            [.text("uptime_seconds"), .uint((status.clockUs &- min(status.clockUs, status.startedUs)) / 1_000_000)],
            [.text("flows"), .int(Int64(status.flows))],
            [.text("packets_per_second"), .real(status.packetsPerSecond.rounded())],
            [.text("bytes_per_second"), .real(status.bytesPerSecond.rounded())], [.text("lost"), .uint(status.lost)],
        ]
        if let progress = status.progress { rows.append([.text("progress"), .real(progress)]) }
        for loss in status.losses { rows.append([.text("lost: " + loss.place), .uint(loss.count)]) }
        for note in status.notes { rows.append([.text("note"), .text(note)]) }
        try format.print(ResultTable(columns: ["name", "value"], rows: rows))
    }
}

/// `dfctl query 'SQL'`.
struct QueryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "query", abstract: "Run a reading SQL statement over the store's tables.",
        discussion: """
            Tables: l4_flow_log, l7_flow_log, "network.1m", "network_map.1s" and so on; see dfctl show tables. For example:
              dfctl query 'SELECT endpoint, count(*) n, avg(response_duration) us FROM l7_flow_log GROUP BY 1 ORDER BY n DESC'
            """)

    @Argument(help: ArgumentHelp("One SELECT statement.", valueName: "sql"))
    var sql: String

    @OptionGroup var server: ServerOptions
    @OptionGroup var format: FormatOptions

    func run() throws {
        guard case .table(let table) = try server.ask(.sql(sql)) else { throw Main.unexpected }
        try format.print(table)
    }
}

/// `dfctl show THING`.
struct ShowCommand: ParsableCommand {
    enum Thing: String, ExpressibleByArgument, CaseIterable { case tables, counters }

    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show what is stored, or what dftop counts of itself.")

    @Argument(help: "tables, or counters: every counter of every stage since the start.")
    var thing: Thing

    @OptionGroup var server: ServerOptions
    @OptionGroup var format: FormatOptions

    func run() throws {
        switch thing {
        case .tables:
            guard case .table(let table) = try server.ask(.tables) else { throw Main.unexpected }
            try format.print(table)
        case .counters: try format.print(counters())
        }
    }

    /// Details of all rows of one moment.
    private func counters() throws -> ResultTable {
        guard case .snapshot(let snapshot) = try server.ask(.freeze(.own)) else { throw Main.unexpected }
        defer { _ = try? server.ask(.release(snapshot: snapshot)) }
        let query = ListQuery(.own, limit: ListQuery.maxLimit, snapshot: snapshot)
        guard case .list(let page) = try server.ask(.list(query)) else { throw Main.unexpected }
        var rows: [[FieldValue]] = []
        for id in page.ids {
            let question = Question.detail(kind: .own, id: id, snapshot: snapshot)
            guard case .detail(let detail) = try server.ask(question) else { throw Main.unexpected }
            let fields = detail.sections.flatMap(\.fields)
            let stage = fields.first { $0.name == "group" }?.value ?? .null
            let counters = detail.sections.first { $0.name == "Counters" }?.fields
            let plain = ["in", "out", "dropped", "pending", "capacity"]
            for field in counters ?? fields.filter({ plain.contains($0.name) }) {
                rows.append([stage, .text(detail.title), .text(field.name), field.value])
            }
        }
        return ResultTable(columns: ["stage", "name", "counter", "value"], rows: rows)
    }
}

/// `dfctl completion SHELL`.
struct CompletionCommand: ParsableCommand {
    enum Shell: String, ExpressibleByArgument, CaseIterable { case bash, zsh, fish }

    static let configuration = CommandConfiguration(
        commandName: "completion", abstract: "Print the completion script of a shell.")

    @Argument(help: "bash, zsh or fish.")
    var shell: Shell

    func run() throws {
        let kind: CompletionShell =
            switch shell {
            case .bash: .bash
            case .zsh: .zsh
            case .fish: .fish
            }
        print(Main.completionScript(for: kind))
    }
}

extension Main {
    static var unexpected: Failure {
        Failure(
            .failed, what: "the engine gave another kind of answer", why: "it may be of another version",
            mend: "compare dfctl --version with dfctl status")
    }
}
