import Foundation
import Testing

/// The specification's table files, found by `DFTOP_SPEC`, default `../shared/spec` beside the package.
enum SpecTables {
    static let folder: URL? = {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let path =
            ProcessInfo.processInfo.environment["DFTOP_SPEC"].map { URL(filePath: $0) }
            ?? root.appending(path: "../shared/spec")
        return FileManager.default.fileExists(atPath: path.path) ? path : nil
    }()

    static var isMissingInCI: Bool { folder == nil && ProcessInfo.processInfo.environment["CI"] == "true" }

    /// Column names of a table file, in order; nil when the specification is not there.
    static func columns(_ file: String) throws -> [(name: String, type: String)]? {
        guard let folder else {
            #expect(!isMissingInCI, "DFTOP_SPEC is missing")
            print("skipped: no specification at DFTOP_SPEC")
            return nil
        }
        let text = try String(contentsOf: folder.appending(path: "tables/\(file)"), encoding: .utf8)
        return text.split(separator: "\n").dropFirst().map { line in
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
            return (String(fields[1]), String(fields[2]))
        }
    }
}
