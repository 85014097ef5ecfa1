import ArgumentParser
import Capture
import Model
import Pipeline
import Yams

/// Where packets come from and how the agent is set: shared by all commands that capture.
struct CaptureOptions: ParsableArguments {
    @Option(
        name: [.customShort("i"), .long],
        help: ArgumentHelp("Capture on this interface; repeatable.", valueName: "iface"))
    var interface: [String] = []

    @Option(
        name: [.customShort("r"), .customLong("read")],
        help: ArgumentHelp("Read this pcap or pcapng file instead, - for stdin; repeatable.", valueName: "file"))
    var read: [String] = []

    @Option(
        name: [.customShort("f"), .customLong("filter-bpf")],
        help: ArgumentHelp("Capture filter in pcap-filter syntax.", valueName: "bpf"))
    var bpf: String?

    @Option(
        name: .customLong("set"),
        help: ArgumentHelp("Set one agent configuration value; repeatable.", valueName: "path=json"))
    var set: [String] = []

    @Option(
        name: .customLong("l7-protocol"),
        help: ArgumentHelp("Enable only this protocol's detector, on every port.", valueName: "name"))
    var l7Protocol: String?

    var isReplay: Bool { !read.isEmpty }

    /// The agent's settings: catalogue defaults, then the given tree, then `--set`, then what the mode prescribes.
    /// Source: design.md 2.1.
    func config(base: AgentConfig = AgentConfig()) throws -> AgentConfig {
        var config = base
        for assignment in set { try CaptureOptions.apply(assignment, to: &config) }
        if !config.unused.isEmpty {
            let paths = config.unused.joined(separator: ", ")
            standardError("dftop: accepted, but without effect here: \(paths)")
        }
        if !interface.isEmpty, isReplay {
            throw Failure(.usage, what: "-i and -r exclude each other", why: "a capture file has its own interfaces")
        }
        config.pipeline.interfaces.names = interface
        if let bpf { config.pipeline.filter = bpf }
        if let name = l7Protocol {
            guard let proto = L7Protocol.named(name) else {
                throw Failure(
                    .usage, what: "unknown L7 protocol \(name)", why: "no such parser",
                    mend: "known: "
                        + L7Protocol.allCases.filter { $0 != .unknown }.map(\.displayName).joined(separator: ", "))
            }
            config.pipeline.l7.restrict(to: proto)
        }
        if !config.given.contains("inputs.cbpf.preprocess.packet_segmentation_reassembly") {
            config.pipeline.l7.reassembly.isEnabled = true
        }
        if isReplay { config.becomeReplay() }
        if let expression = config.pipeline.filter { _ = try CaptureFilter(expression) }
        return config
    }

    private static func apply(_ assignment: String, to config: inout AgentConfig) throws {
        guard let separator = assignment.firstIndex(of: "=") else {
            throw Failure(
                .usage, what: "cannot read --set \(assignment)", why: "it is not PATH=JSON",
                mend: "for example --set processors.request_log.tunning.payload_truncation=4096")
        }
        let path = String(assignment[..<separator])
        let text = String(assignment[assignment.index(after: separator)...])
        let node: Node?
        do {
            node = try Yams.compose(yaml: text)
        } catch {
            throw Failure(
                .usage, what: "cannot read the value of --set \(path)", why: "it is not JSON",
                mend: "quote texts: --set '\(path)=\"text\"'")
        }
        try config.set(path, ConfigValue(node))
    }
}

extension ConfigValue {
    /// From a YAML or JSON node; nil is null.
    init(_ node: Node?) {
        switch node {
        case .none: self = .null
        case .scalar(let scalar):
            let value = node?.any
            if let flag = value as? Bool {
                self = .bool(flag)
            } else if let number = value as? Int {
                self = .int(Int64(number))
            } else if let number = value as? Double {
                self = .double(number)
            } else if value is String {
                self = .text(scalar.string)
            } else {
                self =
                    scalar.string.isEmpty || scalar.string == "null" || scalar.string == "~"
                    ? .null : .text(scalar.string)
            }
        case .sequence(let items): self = .list(items.map { ConfigValue($0) })
        case .mapping(let entries): self = .map(entries.map { ($0.key.string ?? "", ConfigValue($0.value)) })
        case .alias: self = .null
        }
    }
}
