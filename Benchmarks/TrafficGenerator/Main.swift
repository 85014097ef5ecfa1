import ArgumentParser

/// Writes capture files for the benchmarks: the same arguments give the same bytes everywhere.
@main
struct TrafficGenerator: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trafficgen",
        abstract: "Writes capture files for the benchmarks.",
        subcommands: [Packets.self, Requests.self, Connections.self, Living.self])
}

struct Output: ParsableArguments {
    @Argument(help: "File to write (classic pcap, microseconds); - is standard output.")
    var file: String

    @Option(help: "Seed of all random choices.")
    var seed: UInt64 = 1

    @Option(help: "Seconds of capture time.")
    var seconds = 60

    func validate() throws {
        guard (3...3600).contains(seconds) else { throw ValidationError("--seconds must lie in 3...3600") }
    }

    /// Writes and says on standard error what the file holds, as one line of JSON.
    func write(_ body: (inout PcapWriter) throws -> [(String, Int)]) throws {
        var writer = try PcapWriter(path: file)
        var numbers = try body(&writer)
        try writer.flush()
        numbers = [("packets", writer.packets), ("frame_bytes", writer.bytes)] + numbers
        let line = "{" + numbers.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}\n"
        FileDescriptorOutput.standardError.write(line)
    }
}

struct Packets: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Mixed traffic: many flows, sizes and lengths. Without options: the standard file.")

    @OptionGroup var output: Output

    @Option(help: "Flows, both directions counted as one.")
    var flows = 200_000

    @Option(help: "Packets.")
    var packets = 5_000_000

    func validate() throws {
        guard (10...4_000_000).contains(flows) else { throw ValidationError("--flows must lie in 10...4000000") }
        guard packets >= flows * 15, packets <= 100_000_000 else {
            throw ValidationError("--packets must be at least 15 times --flows and at most 100 million")
        }
    }

    func run() throws {
        let mix = PacketMix(seed: output.seed, flows: flows, packets: packets, seconds: output.seconds)
        try output.write { writer in
            try mix.write(to: &writer)
            return mix.summary
        }
    }
}

struct Requests: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Requests of HTTP/1, MySQL and Redis over TCP connections, with answers.")

    @OptionGroup var output: Output

    @Option(help: "Requests, over all protocols.")
    var requests = 500_000

    @Option(help: "http, mysql, redis, or mix (60, 20 and 20 of 100 requests).")
    var kind = RequestMix.Kind.mix

    func validate() throws {
        guard (1...20_000_000).contains(requests) else {
            throw ValidationError("--requests must lie in 1...20000000")
        }
    }

    func run() throws {
        let mix = RequestMix(seed: output.seed, requests: requests, kind: kind, seconds: output.seconds)
        try output.write { writer in
            try mix.write(to: &writer)
            return mix.summary
        }
    }
}

struct Connections: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "TCP connections of six packets, one after the other.")

    @OptionGroup var output: Output

    @Option(help: "Connections.")
    var flows = 1_000_000

    func validate() throws {
        guard (1...4_000_000).contains(flows) else { throw ValidationError("--flows must lie in 1...4000000") }
    }

    func run() throws {
        let scale = FlowScale(flows: flows, seconds: output.seconds)
        try output.write { writer in
            try scale.writeConnections(to: &writer)
            return [("flows", flows)]
        }
    }
}

struct Living: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "TCP connections that all stay open.")

    @OptionGroup var output: Output

    @Option(help: "Connections.")
    var flows = 1_000_000

    @Option(help: "Packets, the handshakes included.")
    var packets = 10_000_000

    func validate() throws {
        guard (1...4_000_000).contains(flows) else { throw ValidationError("--flows must lie in 1...4000000") }
        guard packets >= flows * 5, packets <= 100_000_000 else {
            throw ValidationError("--packets must be at least 5 times --flows and at most 100 million")
        }
    }

    func run() throws {
        let scale = FlowScale(flows: flows, seconds: output.seconds)
        try output.write { writer in
            try scale.writeLiving(packets: packets, to: &writer)
            return [("flows", flows)]
        }
    }
}
