import ArgumentParser
import Model

#if canImport(Glibc)
    import Glibc
#endif

/// The command `dftop`: without a subcommand the workstation.
@main
struct Main: ParsableCommand {
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "dftop",
        abstract:
            "Observability workstation for a Linux node: flows, requests, metrics and metadata, live or from captures.",
        discussion: """
            Without a subcommand dftop captures on all interfaces of the default pattern and opens its screens; with -r it \
            reads capture files instead. See dftop(1).
            """,
        version: version,
        subcommands: [
            PrintCommand.self, AgentCommand.self, ServerCommand.self, DaemonCommand.self, DoctorCommand.self,
            BenchCommand.self, WorkstationCommand.self, AttachCommand.self,
        ], defaultSubcommand: WorkstationCommand.self)

    /// Parses and runs; every error ends with its exit code and one line on stderr.
    static func main() {
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let failure as any Explained {
            complain(failure)
            Glibc.exit(failure.exitCode.rawValue)
        } catch let code as Model.ExitCode {
            Glibc.exit(code.rawValue)
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

/// One line on stderr.
func standardError(_ line: String) {
    var bytes = Array((line + "\n").utf8)
    _ = write(2, &bytes, bytes.count)
}

func complain(_ failure: any Explained) {
    standardError("dftop: " + failure.sentence)
}
