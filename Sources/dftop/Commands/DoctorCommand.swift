import ArgumentParser
import Capture
import EngineAPI
import Model
import Pipeline

#if canImport(Glibc)
    import Glibc
#endif

/// `dftop doctor`: what works here, and what to do about what does not.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Tell which facilities work here and what to do about each that does not.",
        discussion: "Exit code 0 when packets can be captured and stored, 1 otherwise.")

    @Option(name: .customLong("data-dir"), help: ArgumentHelp("Folder of the embedded store.", valueName: "dir"))
    var dataDir: String?

    private enum Verdict: String {
        case works = "ok"
        case limited = "warn"
        case fails = "FAIL"
    }

    private struct Check {
        var name: String
        var verdict: Verdict
        var found: String
        var mend = ""
        /// Capture and store need it.
        var isVital = false
    }

    func run() throws {
        let checks =
            [kernel(), capabilities(), packetSocket(), interfaces()] + bpf() + [
                port(20033, "agents' data"), controlSocket(), dataFolder(), terminal(),
            ]
        let width = checks.map(\.name.count).max() ?? 0
        for check in checks {
            let name = check.name + String(repeating: " ", count: width - check.name.count)
            print("\(check.verdict.rawValue.count == 2 ? "  ok" : check.verdict.rawValue)  \(name)  \(check.found)")
            if check.verdict != .works, !check.mend.isEmpty {
                print("      \(String(repeating: " ", count: width))  -> \(check.mend)")
            }
        }
        if checks.contains(where: { $0.verdict == .fails && $0.isVital }) { throw Model.ExitCode.failed }
    }

    private func kernel() -> Check {
        var name = utsname()
        uname(&name)
        let release = withUnsafePointer(to: &name.release) {
            $0.withMemoryRebound(to: CChar.self, capacity: 65) { String(cString: $0) }
        }
        return Check(name: "kernel", verdict: .works, found: "Linux \(release)")
    }

    private func capabilities() -> Check {
        let names = [
            (12, "NET_ADMIN"), (13, "NET_RAW"), (19, "SYS_PTRACE"), (21, "SYS_ADMIN"), (38, "PERFMON"), (39, "BPF"),
        ]
        let line = FileText.read("/proc/self/status").split(separator: "\n").first { $0.hasPrefix("CapEff:") } ?? ""
        let bits = UInt64(line.dropFirst(7).drop { $0 == "\t" || $0 == " " }, radix: 16) ?? 0
        let missing = names.filter { bits >> UInt64($0.0) & 1 == 0 }.map { "CAP_\($0.1)" }
        guard !missing.isEmpty else {
            return Check(name: "capabilities", verdict: .works, found: "all that dftop uses")
        }
        return Check(
            name: "capabilities", verdict: .limited, found: "missing " + missing.joined(separator: ", "),
            mend: "start as root, or: setcap cap_net_raw,cap_net_admin,cap_sys_ptrace+ep on the dftop binary")
    }

    private func packetSocket() -> Check {
        do {
            var settings = PacketRing.Settings()
            settings.blocks = 8
            let source = try LiveSource.open(settings, usesLibpcap: false, batch: 1)
            return Check(name: "packet capture", verdict: .works, found: source.name, isVital: true)
        } catch {
            return Check(name: "packet capture", verdict: .fails, found: error.why, mend: error.mend, isVital: true)
        }
    }

    private func interfaces() -> Check {
        let all = NetworkInterface.all()
        guard let chosen = try? InterfaceSelection().resolve(all), !chosen.isEmpty else {
            return Check(
                name: "interfaces", verdict: .limited,
                found: "none of \(all.map(\.name).joined(separator: ", ")) matches the default pattern",
                mend: "name them: dftop -i \(all.first?.name ?? "eth0")")
        }
        return Check(name: "interfaces", verdict: .works, found: chosen.map(\.name).joined(separator: ", "))
    }

    /// The eBPF collector is not part of this build; what it will find here is told all the same.
    private func bpf() -> [Check] {
        let hasBTF = access("/sys/kernel/btf/vmlinux", R_OK) == 0
        let hasTracepoints =
            access("/sys/kernel/tracing/events/syscalls", R_OK) == 0
            || access("/sys/kernel/debug/tracing/events/syscalls", R_OK) == 0
        let hasUprobes = access("/sys/bus/event_source/devices/uprobe/type", R_OK) == 0
        return [
            Check(
                name: "BTF", verdict: hasBTF ? .works : .limited,
                found: hasBTF ? "/sys/kernel/btf/vmlinux" : "no kernel type information",
                mend: "boot a kernel with CONFIG_DEBUG_INFO_BTF=y"),
            Check(
                name: "syscall tracepoints", verdict: hasTracepoints ? .works : .limited,
                found: hasTracepoints ? "present" : "not visible",
                mend: "mount tracefs: mount -t tracefs tracefs /sys/kernel/tracing"),
            Check(
                name: "uprobes", verdict: hasUprobes ? .works : .limited,
                found: hasUprobes ? "present" : "not offered by this kernel",
                mend: "boot a kernel with CONFIG_UPROBE_EVENTS=y"),
            Check(
                name: "eBPF collector", verdict: .limited, found: "not part of this build",
                mend: "requests are read from packets only"),
        ]
    }

    private func port(_ number: UInt16, _ use: String) -> Check {
        let name = "port \(number)"
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = number.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if status == 0 { return Check(name: name, verdict: .works, found: "free for \(use)") }
        return Check(
            name: name, verdict: .limited, found: String(cString: strerror(errno)),
            mend: "another server has it: dftop server --port N listens elsewhere")
    }

    private func controlSocket() -> Check {
        let address = EngineAddress.local()
        guard case .unix(let path) = address, access(path, F_OK) == 0 else {
            return Check(name: "running dftop", verdict: .works, found: "none; its socket would be \(address)")
        }
        guard (try? EngineClient(connectingTo: address, timeoutSeconds: 2)) != nil else {
            return Check(
                name: "running dftop", verdict: .limited, found: "\(path) does not answer",
                mend: "it is left over from a crash; the next dftop replaces it")
        }
        return Check(name: "running dftop", verdict: .works, found: "answers at \(path)")
    }

    private func dataFolder() -> Check {
        do {
            let directory = try DataDirectory.persistent(dataDir)
            var info = statvfs()
            guard statvfs(directory.path, &info) == 0 else {
                return Check(name: "data", verdict: .limited, found: directory.path)
            }
            let free = (UInt64(info.f_bavail) * UInt64(info.f_frsize)) >> 20
            return Check(
                name: "data", verdict: free < 1024 ? .limited : .works, found: "\(directory.path), \(free) MiB free",
                mend: "free disk space, or use another folder: --data-dir DIR", isVital: true)
        } catch {
            return Check(name: "data", verdict: .fails, found: error.sentence, mend: error.mend, isVital: true)
        }
    }

    private func terminal() -> Check {
        guard isatty(1) == 1 else {
            return Check(name: "terminal", verdict: .works, found: "not a terminal; dftop print works anywhere")
        }
        let term = environment("TERM") ?? ""
        let isUTF8 =
            ["LC_ALL", "LC_CTYPE", "LANG"].compactMap(environment).first?.uppercased().contains("UTF") ?? false
        if term.isEmpty || term == "dumb" {
            return Check(
                name: "terminal", verdict: .limited, found: "TERM is \(term.isEmpty ? "not set" : term)",
                mend: "use a terminal with cursor control")
        }
        return Check(
            name: "terminal", verdict: isUTF8 ? .works : .limited,
            found: term + (isUTF8 ? ", UTF-8" : ", no UTF-8 locale"),
            mend: "set LC_ALL=C.UTF-8")
    }
}

/// Small whole files.
enum FileText {
    static func read(_ path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 65536)
        let got = Glibc.read(descriptor, &bytes, bytes.count)
        return got > 0 ? String(decoding: bytes[0..<got], as: UTF8.self) : ""
    }
}
