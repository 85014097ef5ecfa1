import Glibc
package import Model

/// Facts about the host. The parsers are pure; `read` feeds them from /proc and uname.
package enum HostReader {
    /// - Parameter root: `/proc` of the host.
    package static func read(root: String = "/proc") -> HostFacts {
        var facts = HostFacts()
        var name = utsname()
        facts.hostname = hostname()
        if uname(&name) == 0 {
            facts.kernel = text(&name.release)
            facts.machine = text(&name.machine)
        }
        facts.system = system(ProcFile.text("/etc/os-release") ?? ProcFile.text("/usr/lib/os-release") ?? "")
        memory(ProcFile.text(root + "/meminfo") ?? "", into: &facts)
        cpu(ProcFile.text(root + "/cpuinfo") ?? "", into: &facts)
        load(ProcFile.line(root + "/loadavg"), into: &facts)
        facts.uptimeSeconds = uptime(ProcFile.line(root + "/uptime"))
        let online = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        if online > 0 { facts.cpuCount = online }
        return facts
    }

    /// Empty when the system does not tell.
    package static func hostname() -> String {
        var name = utsname()
        return uname(&name) == 0 ? text(&name.nodename) : ""
    }

    private static func text<Field>(_ field: inout Field) -> String {
        withUnsafeBytes(of: &field) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    /// `PRETTY_NAME` of os-release.
    static func system(_ text: String) -> String {
        for line in text.split(separator: "\n") where line.hasPrefix("PRETTY_NAME=") {
            return String(line.dropFirst(12)).filter { $0 != "\"" && $0 != "'" }
        }
        return ""
    }

    /// `MemTotal:  12345 kB` lines.
    static func memory(_ text: String, into facts: inout HostFacts) {
        for line in text.split(separator: "\n") {
            let words = String(line).words
            guard words.count >= 2, let number = UInt64(words[1]) else { continue }
            let bytes = number.multipliedReportingOverflow(by: 1024).partialValue
            switch words[0] {
            case "MemTotal:": facts.memoryTotal = bytes
            case "MemAvailable:": facts.memoryAvailable = bytes
            case "SwapTotal:": facts.swapTotal = bytes
            case "SwapFree:": facts.swapFree = bytes
            default: break
            }
        }
    }

    static func cpu(_ text: String, into facts: inout HostFacts) {
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            let name = String(parts[0]).words.joined(separator: " ")
            let value = String(parts[1]).words.joined(separator: " ")
            if name == "processor" { facts.cpuCount += 1 }
            if facts.cpuModel.isEmpty, name == "model name" || name == "Model" || name == "Hardware" {
                facts.cpuModel = value
            }
        }
    }

    static func load(_ line: String, into facts: inout HostFacts) {
        let numbers = line.words.prefix(3).compactMap { Double($0) }
        guard numbers.count == 3 else { return }
        facts.load1 = numbers[0]
        facts.load5 = numbers[1]
        facts.load15 = numbers[2]
    }

    static func uptime(_ line: String) -> UInt64 {
        guard let first = line.words.first, let seconds = Double(first), seconds >= 0, seconds < 1e12 else { return 0 }
        return UInt64(seconds)
    }
}
