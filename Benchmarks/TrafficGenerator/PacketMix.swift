/// The standard packet file: many flows of mixed kinds, sizes and lengths. All numbers here are part of the file's
/// definition (Benchmarks/README.md); changing one makes another file.
struct PacketMix {
    enum Kind: UInt8 { case http, stream, dns, datagrams, ping }

    struct Flow {
        var ends: Ends
        var kind: Kind
        /// Sizes of what the flow carries: 0 small, 1 mixed, 2 bulk.
        var weight: UInt8
        var startUs: Int
        var packets: Int
        // State while writing.
        var clientSequence: UInt32
        var serverSequence: UInt32
        /// The last segment of the server, for sending it again.
        var last: ArraySlice<UInt8> = []
        var lastStart: UInt32 = 0
        var messages = 0
    }

    private var random: Random
    private let texts: Texts
    private var flows: [Flow] = []
    private var schedule = Schedule()
    private let targetPackets: Int
    private let spanUs: Int

    init(seed: UInt64, flows flowCount: Int, packets: Int, seconds: Int) {
        random = Random(seed: seed)
        texts = Texts(random: &random)
        targetPackets = packets
        spanUs = seconds * 1_000_000
        flows.reserveCapacity(flowCount)
        for index in 0..<flowCount { flows.append(drawFlow(index)) }
        balance()
        schedule.reserve(packets)
        for index in flows.indices { plan(index) }
    }

    // MARK: Drawing

    private mutating func drawFlow(_ index: Int) -> Flow {
        let kind: Kind
        let packets: Int
        switch random.pick([720, 260, 20]) {
        case 0:
            kind = random.chance(400) ? .http : .stream
            switch random.pick([500, 400, 95, 5]) {
            case 0: packets = random.within(8...12)
            case 1: packets = random.within(12...40)
            case 2: packets = random.within(40...200)
            default: packets = random.within(200...1700)
            }
        case 1:
            kind = random.chance(800) ? .dns : .datagrams
            packets = kind == .dns ? 2 : random.within(4...60)
        default:
            kind = .ping
            packets = 2 * random.within(1...10)
        }
        let port: UInt16
        switch kind {
        case .http: port = random.chance(700) ? 80 : 8080
        case .stream: port = [443, 443, 443, 22, 5432, 9092, 3389, 6443][random.below(8)]
        case .dns: port = 53
        case .datagrams: port = [443, 4500, 3478, 51_820][random.below(4)]
        case .ping: port = 0
        }
        return Flow(
            ends: drawEnds(index, port: port), kind: kind, weight: UInt8(random.pick([740, 200, 60])),
            startUs: random.below(spanUs - 3_000_000), packets: packets,
            clientSequence: UInt32(truncatingIfNeeded: random.next()),
            serverSequence: UInt32(truncatingIfNeeded: random.next()))
    }

    private mutating func drawEnds(_ index: Int, port: UInt16) -> Ends {
        let client = UInt64(random.below(20_000))
        let server = UInt64(random.below(2_000))
        // The port follows from the number of the flow, so that no two flows share all five values at one time.
        let clientPort = UInt16(1024 + index % 64_000)
        guard random.chance(100) else {
            return Ends(
                isIPv6: false, client: .init(high: 0, low: 0x0a00_0000 + 256 + client),
                server: .init(high: 0, low: 0x0a80_0000 + 256 + server), clientPort: clientPort, serverPort: port)
        }
        return Ends(
            isIPv6: true, client: .init(high: 0xfd00_0000_0001_0000, low: 1 + client),
            server: .init(high: 0xfd00_0000_0002_0000, low: 1 + server), clientPort: clientPort, serverPort: port)
    }

    /// Gives or takes packets of the larger TCP flows until the sum is the one asked for.
    private mutating func balance() {
        var missing = targetPackets - flows.reduce(0) { $0 + $1.packets }
        let adjustable = flows.indices.filter {
            (flows[$0].kind == .http || flows[$0].kind == .stream) && flows[$0].packets >= 12
        }
        guard !adjustable.isEmpty else { return }
        while missing != 0 {
            for index in adjustable where missing != 0 {
                let step = missing > 0 ? 1 : -1
                guard step > 0 || flows[index].packets > 12 else { continue }
                flows[index].packets += step
                missing -= step
            }
        }
    }

    // MARK: Planning

    private mutating func plan(_ index: Int) {
        switch flows[index].kind {
        case .dns:
            let start = flows[index].startUs
            schedule.add(atUs: start, flow: index, .clientDatagram)
            schedule.add(atUs: start + random.within(200...40_000), flow: index, .serverDatagram)
        case .ping:
            var time = flows[index].startUs
            let gap = min(1_000_000, (spanUs - time) / (flows[index].packets / 2 + 1))
            for number in 0..<flows[index].packets / 2 {
                schedule.add(atUs: time, flow: index, .echoRequest, length: 56, extra: number)
                schedule.add(
                    atUs: time + random.within(100...gap / 2), flow: index, .echoReply, length: 56, extra: number)
                time += gap
            }
        case .datagrams:
            var time = flows[index].startUs
            let gap = self.gap(flows[index], rtt: 100_000)
            for _ in 0..<flows[index].packets {
                let up = random.chance(400)
                schedule.add(
                    atUs: time, flow: index, up ? .clientDatagram : .serverDatagram,
                    length: dataLength(flows[index].weight))
                time += random.within(gap / 4...gap)
            }
        case .http, .stream:
            planTCP(index)
        }
    }

    /// Largest pause between packets that keeps the flow within the capture.
    private mutating func gap(_ flow: Flow, rtt: Int) -> Int {
        let room = (spanUs - 1_000_000 - flow.startUs) / (2 * flow.packets + 1)
        return max(8, min(room, random.within(rtt...(4 * rtt))))
    }

    private mutating func dataLength(_ weight: UInt8) -> Int {
        switch weight {
        case 0: return random.within(20...600)
        case 1: return random.chance(280) ? 1448 : random.within(40...900)
        default: return random.chance(800) ? 1448 : random.within(40...1400)
        }
    }

    private mutating func planTCP(_ index: Int) {
        let flow = flows[index]
        let rtt = [300, 1000, 8000, 40_000][random.pick([400, 300, 200, 100])]
        let gap = gap(flow, rtt: rtt / 2)
        // One flow in five is over within a second; the others talk for seconds to a minute, as pools and sessions do.
        let span = random.chance(200) ? random.within(50_000...1_000_000) : random.within(2_000_000...45_000_000)
        let pause = max(0, min(span, spanUs - 1_000_000 - flow.startUs - gap * flow.packets)) / (flow.packets / 7 + 1)
        var time = flow.startUs
        var left = flow.packets
        func step(_ random: inout Random) -> Int { random.within(gap / 4...gap) }

        schedule.add(atUs: time, flow: index, .syn)
        time += step(&random)
        schedule.add(atUs: time, flow: index, .synAck)
        time += step(&random)
        schedule.add(atUs: time, flow: index, .clientAck)
        left -= 3
        // 85 % end by FIN, 7 % by reset, the rest outlives the capture.
        let end = random.pick([850, 70, 80])
        left -= [3, 1, 0][end]

        while left > 0 {
            time += step(&random)
            time += min(random.within(0...2 * pause), max(0, spanUs - 1_000_000 - gap * (left + 3) - time))
            schedule.add(atUs: time, flow: index, .clientData, length: random.within(60...500))
            left -= 1
            guard left > 0 else { break }
            // The answer: segments, an acknowledgement behind each second one, now and then a segment twice.
            let segments = flow.weight == 2 ? random.within(4...16) : random.within(1...3)
            var answer: [(time: Int, step: Step, length: Int)] = []
            for number in 0..<segments where left > answer.count {
                time += number == 0 ? step(&random) : max(1, gap / 16)
                let head = number == 0 && flow.kind == .http
                let length = dataLength(flow.weight)
                answer.append((time, head ? .serverHead : .serverData, head ? min(length, 1300) : length))
                if left > answer.count && random.chance(10) {
                    time += max(1, gap / 4)
                    answer.append((time, .serverAgain, 0))
                }
                if left > answer.count && number % 2 == 1 {
                    time += max(1, gap / 16)
                    answer.append((time, .clientAck, 0))
                }
            }
            let body = answer.dropFirst().reduce(0) { $0 + $1.length }
            for (time, step, length) in answer {
                schedule.add(atUs: time, flow: index, step, length: length, extra: step == .serverHead ? body : 0)
            }
            left -= answer.count
        }
        time += step(&random)
        switch end {
        case 0:
            schedule.add(atUs: time, flow: index, .clientFin)
            time += step(&random)
            schedule.add(atUs: time, flow: index, .serverFin)
            time += step(&random)
            schedule.add(atUs: time, flow: index, .clientAck)
        case 1: schedule.add(atUs: time, flow: index, .clientReset)
        default: break
        }
    }

    // MARK: Writing

    func write(to writer: inout PcapWriter) throws {
        var flows = flows
        let texts = texts
        try schedule.replay { time, entry in
            try Self.write(entry, atUs: time, &flows[entry.flow], texts, to: &writer)
        }
    }

    /// A piece of noise; which one follows from the flow, so that equal files have equal bytes.
    private static func noise(_ length: Int, _ seed: UInt32, _ texts: Texts) -> ArraySlice<UInt8> {
        let start = Int((seed &* 2_654_435_761) >> 16)
        return texts.noise[start..<start + length]
    }

    private static func write(
        _ entry: Schedule.Entry, atUs time: UInt64, _ flow: inout Flow, _ texts: Texts, to writer: inout PcapWriter
    ) throws {
        func segment(_ fromClient: Bool, _ flags: UInt8, _ payload: ArraySlice<UInt8> = []) throws {
            let sequence = fromClient ? flow.clientSequence : flow.serverSequence
            try payload.withUnsafeBytes {
                try writer.tcp(
                    atUs: time, flow.ends, fromClient: fromClient, sequence: sequence,
                    acknowledge: fromClient ? flow.serverSequence : flow.clientSequence, flags: flags, payload: $0)
            }
            let control: UInt32 = flags & (Flags.syn | Flags.fin) != 0 ? 1 : 0
            let length = UInt32(payload.count) + control
            if fromClient { flow.clientSequence &+= length } else { flow.serverSequence &+= length }
        }

        switch entry.step {
        case .syn: try segment(true, Flags.syn)
        case .synAck: try segment(false, Flags.syn | Flags.ack)
        case .clientAck: try segment(true, Flags.ack)
        case .clientFin: try segment(true, Flags.fin | Flags.ack)
        case .serverFin: try segment(false, Flags.fin | Flags.ack)
        case .clientReset: try segment(true, Flags.rst | Flags.ack)
        case .clientData:
            flow.messages += 1
            let text =
                flow.kind == .http
                ? texts.httpRequests[(flow.messages &* 31 &+ Int(flow.ends.clientPort)) & 255][...]
                : noise(entry.length, flow.clientSequence, texts)
            try segment(true, Flags.psh | Flags.ack, text)
        case .serverHead, .serverData:
            var text = noise(entry.length, flow.serverSequence, texts)
            if entry.step == .serverHead {
                let status = [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0, 0, 3][Int(flow.serverSequence >> 7 & 15)]
                text = (Texts.httpHead(status: status, length: entry.length + entry.extra) + text)[...]
            }
            flow.last = text
            flow.lastStart = flow.serverSequence
            try segment(false, Flags.psh | Flags.ack, text)
        case .serverAgain:
            let next = flow.serverSequence
            flow.serverSequence = flow.lastStart
            try segment(false, Flags.psh | Flags.ack, flow.last)
            flow.serverSequence = next
        case .clientDatagram, .serverDatagram:
            let up = entry.step == .clientDatagram
            let payload: ArraySlice<UInt8>
            if flow.kind == .dns {
                let id = UInt16(truncatingIfNeeded: flow.clientSequence)
                let name = Int(flow.clientSequence >> 16)
                payload =
                    (up
                    ? texts.dnsQuery(id: id, name: name)
                    : texts.dnsAnswer(id: id, name: name, exists: name % 20 != 0))[...]
            } else {
                flow.clientSequence &+= 1
                payload = noise(entry.length, flow.clientSequence, texts)
            }
            try payload.withUnsafeBytes { try writer.udp(atUs: time, flow.ends, fromClient: up, payload: $0) }
        case .echoRequest, .echoReply:
            try noise(entry.length, UInt32(entry.extra), texts).withUnsafeBytes {
                try writer.echo(
                    atUs: time, flow.ends, fromClient: entry.step == .echoRequest, sequence: UInt16(entry.extra),
                    payload: $0)
            }
        }
    }

    /// What the file holds, for the reader and for checks.
    var summary: [(String, Int)] {
        let tcp = flows.count { $0.kind == .http || $0.kind == .stream }
        let udp = flows.count { $0.kind == .dns || $0.kind == .datagrams }
        return [
            ("flows", flows.count), ("tcp_flows", tcp), ("udp_flows", udp), ("icmp_flows", flows.count - tcp - udp),
            ("ipv6_flows", flows.count { $0.ends.isIPv6 }), ("http_flows", flows.count { $0.kind == .http }),
            ("dns_flows", flows.count { $0.kind == .dns }),
        ]
    }
}
