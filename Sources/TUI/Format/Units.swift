import Model

#if canImport(Glibc)
    import Glibc
#endif

/// Numbers as people read them; every text is short and its width bounded.
enum Units {
    /// `0`, `999`, `1.2k`, `34k`, `1.2M`: at most five characters.
    static func count(_ value: Double) -> String { scaled(value, base: 1000, units: ["", "k", "M", "G", "T", "P"]) }

    /// `512B`, `1.2kB`, `34MB`.
    static func bytes(_ value: Double) -> String {
        scaled(value, base: 1000, units: ["B", "kB", "MB", "GB", "TB", "PB"])
    }

    /// `1.2MB/s`; nothing for nothing.
    static func byteRate(_ value: Double) -> String { value < 0.5 ? "0" : bytes(value) + "/s" }

    /// A second: `0`, `0.3`, `12`, `1.2k`.
    static func rate(_ value: Double) -> String {
        if value <= 0 || !value.isFinite { return "0" }
        return value < 10 ? decimal(value, places: value < 0.1 ? 2 : 1) : count(value)
    }

    /// Microseconds: `850us`, `1.2ms`, `35ms`, `1.24s`, `2m05s`, `3h04m`, `2d03h`.
    static func duration(_ us: Double) -> String {
        guard us.isFinite, us > 0 else { return "0" }
        if us < 1000 { return decimal(us, places: us < 10 && us != us.rounded() ? 1 : 0) + "us" }
        if us < 999_500 { return decimal(us / 1000, places: us < 9_950 ? 2 : us < 99_500 ? 1 : 0) + "ms" }
        let seconds = us / 1_000_000
        if seconds < 99.5 { return decimal(seconds, places: seconds < 10 ? 2 : 1) + "s" }
        let whole = Int(min(seconds, 1e12))
        let two = { (number: Int) in number < 10 ? "0\(number)" : "\(number)" }
        if whole < 3600 { return "\(whole / 60)m\(two(whole % 60))s" }
        if whole < 86_400 { return "\(whole / 3600)h\(two(whole / 60 % 60))m" }
        return "\(whole / 86_400)d\(two(whole / 3600 % 24))h"
    }

    static func percent(_ part: Double) -> String {
        guard part.isFinite, part > 0 else { return "0%" }
        let value = part * 100
        return decimal(value, places: value < 9.95 ? 1 : 0) + "%"
    }

    /// `12,345,678`.
    static func grouped(_ value: UInt64) -> String {
        var out: [Character] = []
        for (index, digit) in String(value).reversed().enumerated() {
            if index > 0, index % 3 == 0 { out.append(",") }
            out.append(digit)
        }
        return String(out.reversed())
    }

    private static func scaled(_ value: Double, base: Double, units: [String]) -> String {
        guard value.isFinite, value > 0 else { return "0" + units[0] }
        var value = value
        var index = 0
        // 999.6 would be written 1000.
        while value >= base - 0.5, index < units.count - 1 {
            value /= base
            index += 1
        }
        let places = index == 0 ? 0 : value < 9.95 ? 1 : 0
        return decimal(value, places: places) + units[index]
    }

    /// A positive number with a fixed number of places, correctly rounded for what screens show.
    static func decimal(_ value: Double, places: Int) -> String {
        var factor = 1
        for _ in 0..<places { factor *= 10 }
        let scaled = (value * Double(factor)).rounded()
        guard scaled < 9e18 else { return "inf" }
        let number = Int(scaled)
        guard places > 0 else { return "\(number)" }
        var rest = "\(number % factor)"
        while rest.count < places { rest = "0" + rest }
        return "\(number / factor).\(rest)"
    }

    // MARK: Time

    /// Local `15:04:05`, with milliseconds when asked for.
    static func time(us: UInt64, milliseconds: Bool = false) -> String {
        guard us > 0 else { return "" }
        let parts = local(us)
        let clock = "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
        guard milliseconds else { return clock }
        var rest = "\(us / 1000 % 1000)"
        while rest.count < 3 { rest = "0" + rest }
        return clock + "." + rest
    }

    /// Local `2006-01-02 15:04:05.000000`.
    static func dateTime(us: UInt64) -> String {
        guard us > 0 else { return "" }
        var rest = "\(us % 1_000_000)"
        while rest.count < 6 { rest = "0" + rest }
        return date(us: us) + " " + time(us: us) + "." + rest
    }

    static func date(us: UInt64) -> String {
        let parts = local(us)
        return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
    }

    private static func local(_ us: UInt64) -> tm {
        var seconds = time_t(truncatingIfNeeded: us / 1_000_000)
        var parts = tm()
        localtime_r(&seconds, &parts)
        return parts
    }

    private static func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
