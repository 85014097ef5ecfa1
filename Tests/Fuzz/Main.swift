import Glibc

/// `fuzz TARGET [EXECUTIONS] [SEED]`: throws changed inputs at a target until it breaks or the number is reached.
///
/// `fuzz list` names the targets. EXECUTIONS may be `10s`, a time. Before each thousand inputs the state that makes them
/// is written to standard error in one line, so that a trap can be repeated: `fuzz TARGET 1000 SEED`.
@main
enum Fuzz {
    private static var targets: [any FuzzTarget.Type] {
        [
            LinkTarget.self, NetworkTarget.self, VXLANTarget.self, GeneveTarget.self, NSHTarget.self, IPIPTarget.self,
            TEBTarget.self, ERSPANTarget.self, FlowMapTarget.self, HTTP2Target.self, TLSTarget.self,
            PostgreSQLTarget.self, KafkaTarget.self, MQTTTarget.self, MemcachedTarget.self, MongoDBTarget.self,
            DubboTarget.self, SofaRPCTarget.self, FastCGITarget.self, BrpcTarget.self, TarsTarget.self,
            SomeIPTarget.self, AMQPTarget.self, NATSTarget.self, PulsarTarget.self, ZMTPTarget.self,
            RocketMQTarget.self, OpenWireTarget.self, OTLPTarget.self, PrometheusTarget.self, InfluxTarget.self,
            ProfileTarget.self, PprofTarget.self, ProcEventTarget.self, PcapBatchTarget.self,
        ]
    }
    private static let round = 1000

    static func main() {
        let arguments = Array(CommandLine.arguments.dropFirst())
        guard let name = arguments.first, name != "list" else { return targets.forEach { print($0.name) } }
        guard let target = targets.first(where: { $0.name == name }) else {
            complain("fuzz: no target \(name); see fuzz list")
            exit(2)
        }
        let limit = arguments.count > 1 ? arguments[1] : "100000"
        let seconds = limit.hasSuffix("s") ? Int(limit.dropLast()) : nil
        let executions = seconds == nil ? Int(limit) ?? 100_000 : .max
        let seed = arguments.count > 2 ? UInt64(arguments[2]) ?? 1 : 1
        run(target, executions: executions, seconds: seconds, seed: seed)
    }

    private static func complain(_ text: String) {
        let line = Array((text + "\n").utf8)
        _ = line.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
    }

    private static func run(_ type: any FuzzTarget.Type, executions: Int, seconds: Int?, seed first: UInt64) {
        var target = type.init()
        let seeds = type.seeds
        let end = seconds.map { time(nil) + $0 }
        var (done, taken) = (0, 0)
        var seed = first
        while done < executions, end.map({ time(nil) < $0 }) ?? true {
            // Only when asked: a line a thousand inputs.
            if getenv("FUZZ_TRACE") != nil { complain("seed \(seed)") }
            var mutator = Mutator(random: FuzzRandom(seed: seed))
            var corpus = seeds
            for _ in 0..<min(round, executions - done) {
                let base = corpus[mutator.random.below(corpus.count)]
                let input = mutator.change(base, others: seeds)
                do {
                    if try target.run(input) { taken += 1 }
                } catch {
                    print("finding of \(type.name), seed \(seed): \(error.what)")
                    print(input.map { String($0, radix: 16) }.joined(separator: " "))
                    exit(1)
                }
                // Changes of changes reach further.
                if mutator.random.below(8) == 0 { corpus.append(input) }
                done += 1
            }
            seed &+= 1
        }
        print("\(type.name): \(done) executions, \(taken) of them taken, no finding")
    }
}
