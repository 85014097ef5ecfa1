import Glibc

/// Small files of /proc and /sys, read whole.
enum ProcFile {
    /// Bounds what a hostile or broken file system can make us read.
    static let maxBytes = 64 << 20

    /// Nil: not there or not readable.
    static func bytes(_ path: String) -> [UInt8]? {
        let fd = open(path, O_RDONLY | O_CLOEXEC)
        guard fd >= 0 else { return nil }
        defer { close(fd) }
        var out: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while out.count < maxBytes {
            let count = read(fd, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return nil }
            guard count > 0 else { break }
            out += chunk[..<count]
        }
        return out
    }

    static func text(_ path: String) -> String? {
        bytes(path).map { String(decoding: $0, as: UTF8.self) }
    }

    /// First line without its end; empty when there is none.
    static func line(_ path: String) -> String {
        guard let text = text(path) else { return "" }
        return String(text.prefix { $0 != "\n" })
    }

    /// Names in a folder, without `.` and `..`.
    static func names(in path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    static func link(_ path: String) -> String? {
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = buffer.withUnsafeMutableBytes { raw -> Int in
            guard let start = raw.baseAddress?.assumingMemoryBound(to: CChar.self) else { return 0 }
            return readlink(path, start, raw.count)
        }
        guard count > 0 else { return nil }
        return String(decoding: buffer[..<count], as: UTF8.self)
    }
}

extension String {
    /// Words between blanks.
    var words: [Substring] { split { $0 == " " || $0 == "\t" || $0 == "\n" } }
}
