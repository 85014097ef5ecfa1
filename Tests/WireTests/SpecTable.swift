import Foundation

/// Rows of the tables beside the specification, found by `DFTOP_SPEC` or in `../shared/spec`.
enum SpecTable {
    static let folder: String = {
        if let set = ProcessInfo.processInfo.environment["DFTOP_SPEC"] { return set }
        var root = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { root.deleteLastPathComponent() }
        return root.deletingLastPathComponent().appendingPathComponent("shared/spec").path
    }()

    /// Without the tables tests are skipped, except in CI, where they fail.
    static var isWanted: Bool {
        FileManager.default.fileExists(atPath: folder + "/proto/golden.tsv")
            || ProcessInfo.processInfo.environment["CI"] == "true"
    }

    static func rows(_ name: String) throws -> [[String]] {
        let text = try String(contentsOfFile: folder + "/proto/" + name, encoding: .utf8)
        return text.split(separator: "\n").dropFirst()
            .map { $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init) }
    }

    struct Missing: Error { let name: String }

    /// The complete frame of `frames.tsv` with this name.
    static func frame(_ name: String) throws -> [UInt8] {
        guard let row = try rows("frames.tsv").first(where: { $0[0] == name }) else { throw Missing(name: name) }
        return bytes(row[2])
    }

    /// Encodings of `golden.tsv` for one message type, in order.
    static func golden(_ type: String) throws -> [[UInt8]] {
        let found = try rows("golden.tsv").filter { $0[0] == type }.map { bytes($0[2]) }
        if found.isEmpty { throw Missing(name: type) }
        return found
    }

    static func bytes(_ hex: String) -> [UInt8] {
        let digits = Array(hex.utf8).filter { $0 != 32 }
        return stride(from: 0, to: digits.count - 1, by: 2).map { at in
            UInt8(String(decoding: digits[at...(at + 1)], as: UTF8.self), radix: 16) ?? 0
        }
    }
}

func hex(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
