import Model

/// What a parser may know about the packet around a payload.
struct L7ParseContext: BitwiseCopyable {
    var direction: PacketDirection
    var l4Protocol: L4Protocol
    /// Bytes of the payload before it was cut to `payload_truncation`.
    var payloadSize: Int
    /// The rest of an incomplete message may still come: answer `incomplete` and change nothing.
    var mayWait: Bool
    /// Sequence number of the first byte.
    var tcpSeq: UInt32 = 0
    var timeUs: UInt64 = 0
    /// Messages are followed from payload to payload, and payloads come whole: reassembly is on.
    var followsStream = false
}

enum L7ParseResult: Equatable {
    case parsed
    case failed
    case incomplete
}

/// Parser of one flow. Each is pure: bytes and its own state in, messages out. Source: agent-l7.md 5.
enum L7Parser {
    case none
    case http1(HTTP1Parser)
    case http2(HTTP2Parser)
    case dns(DNSParser)
    case mysql(MySQLParser)
    case kafka(KafkaParser)
    case redis(RedisParser)
    case mongodb(MongoDBParser)
    case memcached(MemcachedParser)
    case postgresql(PostgreSQLParser)
    case sofaRPC(SofaRPCParser)
    case dubbo(DubboParser)
    case fastCGI(FastCGIParser)
    case brpc(BrpcParser)
    case tars(TarsParser)
    case mqtt(MQTTParser)
    case amqp(AMQPParser)
    case nats(NATSParser)
    case pulsar(PulsarParser)
    case zmtp(ZMTPParser)
    case rocketMQ(RocketMQParser)
    case openWire(OpenWireParser)
    case tls(TLSParser)
    case someIp(SomeIPParser)
    case ping(PingParser)

    /// Detectors in the order in which they are asked (agent-l7.md 4.1).
    static let order: [L7Protocol] = [
        .http1, .http2, .dns, .sofaRPC, .mysql, .kafka, .redis, .mongodb, .memcached, .postgresql, .dubbo, .fastCGI,
        .brpc, .tars, .mqtt, .amqp, .nats, .pulsar, .zmtp, .rocketMQ, .openWire, .tls, .someIp, .ping,
    ]

    static func runs(_ proto: L7Protocol, on l4: L4Protocol) -> Bool {
        switch l4 {
        case .tcp: proto != .ping
        case .udp: [.dns, .tars, .zmtp, .someIp, .tls, .custom].contains(proto)
        default: proto == .ping
        }
    }

    init?(_ proto: L7Protocol) {
        switch proto {
        case .http1: self = .http1(HTTP1Parser())
        case .http2, .grpc, .triple: self = .http2(HTTP2Parser(proto))
        case .dns: self = .dns(DNSParser())
        case .mysql: self = .mysql(MySQLParser())
        case .kafka: self = .kafka(KafkaParser())
        case .redis: self = .redis(RedisParser())
        case .tls: self = .tls(TLSParser())
        case .amqp: self = .amqp(AMQPParser())
        case .nats: self = .nats(NATSParser())
        case .pulsar: self = .pulsar(PulsarParser())
        case .zmtp: self = .zmtp(ZMTPParser())
        case .rocketMQ: self = .rocketMQ(RocketMQParser())
        case .openWire: self = .openWire(OpenWireParser())
        case .mongodb: self = .mongodb(MongoDBParser())
        case .memcached: self = .memcached(MemcachedParser())
        case .postgresql: self = .postgresql(PostgreSQLParser())
        case .mqtt: self = .mqtt(MQTTParser())
        case .sofaRPC: self = .sofaRPC(SofaRPCParser())
        case .dubbo: self = .dubbo(DubboParser())
        case .fastCGI: self = .fastCGI(FastCGIParser())
        case .brpc: self = .brpc(BrpcParser())
        case .tars: self = .tars(TarsParser())
        case .someIp: self = .someIp(SomeIPParser())
        case .ping: self = .ping(PingParser())
        default: return nil
        }
    }

    var isNone: Bool {
        if case .none = self { true } else { false }
    }

    /// A protocol that the messages made known, which is more than the detector knew.
    var spoken: L7Protocol? {
        if case .http2(let parser) = self { parser.l7Protocol } else { nil }
    }

    /// Walks over what is long itself, and has to see all of it: its payloads are not cut.
    var readsWhole: Bool {
        switch self {
        case .http2, .tls: true
        default: false
        }
    }

    /// What the first four bytes (little-endian) of a payload tell: false = `detects` would say no.
    ///
    /// - Parameter mayGrow: `detects` may be asked about more bytes later.
    @inline(__always)
    static func mayDetect(_ proto: L7Protocol, _ start: UInt32, count: Int, mayGrow: Bool) -> Bool {
        switch proto {
        case .http1: HTTP1Parser.mayDetect(start)
        case .http2: HTTP2Parser.mayDetect(start)
        case .mysql: MySQLParser.mayDetect(start, count: count, mayGrow: mayGrow)
        case .kafka: KafkaParser.mayDetect(start)
        case .redis: RedisParser.mayDetect(start)
        case .tls: TLSParser.mayDetect(start)
        case .amqp: AMQPParser.mayDetect(start)
        case .nats: NATSParser.mayDetect(start)
        case .pulsar: PulsarParser.mayDetect(start)
        case .zmtp: ZMTPParser.mayDetect(start)
        case .rocketMQ: RocketMQParser.mayDetect(start)
        case .openWire: OpenWireParser.mayDetect(start)
        case .mongodb: MongoDBParser.mayDetect(start)
        case .memcached: MemcachedParser.mayDetect(start)
        case .postgresql: PostgreSQLParser.mayDetect(start)
        case .mqtt: MQTTParser.mayDetect(start)
        case .sofaRPC: SofaRPCParser.mayDetect(start)
        case .dubbo: DubboParser.mayDetect(start)
        case .fastCGI: FastCGIParser.mayDetect(start)
        case .brpc: BrpcParser.mayDetect(start)
        case .tars: TarsParser.mayDetect(start)
        default: true
        }
    }

    /// The payload is a message of the protocol with which a flow may begin.
    @inline(__always)
    static func detects(
        _ proto: L7Protocol, _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings,
        _ texts: borrowing TextCache
    ) -> Bool {
        switch proto {
        case .http1: HTTP1Parser.detects(payload)
        case .http2: HTTP2Parser.detects(payload, settings)
        case .dns: DNSParser.detects(payload, context, texts)
        case .mysql: MySQLParser.detects(payload, context, settings)
        case .kafka: KafkaParser.detects(payload, context)
        case .redis: RedisParser.detects(payload, context)
        case .tls: TLSParser.detects(payload, context)
        case .amqp: AMQPParser.detects(payload)
        case .nats: NATSParser.detects(payload)
        case .pulsar: PulsarParser.detects(payload)
        case .zmtp: ZMTPParser.detects(payload)
        case .rocketMQ: RocketMQParser.detects(payload)
        case .openWire: OpenWireParser.detects(payload)
        case .mongodb: MongoDBParser.detects(payload, context)
        case .memcached: MemcachedParser.detects(payload, context)
        case .postgresql: PostgreSQLParser.detects(payload, context)
        case .mqtt: MQTTParser.detects(payload)
        case .sofaRPC: SofaRPCParser.detects(payload)
        case .dubbo: DubboParser.detects(payload)
        case .fastCGI: FastCGIParser.detects(payload)
        case .brpc: BrpcParser.detects(payload)
        case .tars: TarsParser.detects(payload, context)
        case .someIp: SomeIPParser.detects(payload, context)
        case .ping: PingParser.detects(payload)
        default: false
        }
    }

    /// Direction of a payload that was detected. Most detectors know requests only.
    static func direction(_ proto: L7Protocol, of payload: RawSpan) -> PacketDirection {
        switch proto {
        case .someIp: SomeIPParser.direction(of: payload)
        case .ping: PingParser.direction(of: payload)
        default: .clientToServer
        }
    }

    /// Appends the messages of one payload. `self` is taken apart and put together again, so that state is changed in
    /// place and never copied.
    mutating func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings,
        _ obfuscator: inout SQLObfuscationCache, into out: inout L7Output
    ) -> L7ParseResult {
        switch self {
        case .none: return .failed
        case .http1(var parser):
            if HTTP2Connection.prefaceLength(payload) > 0 {
                // The connection was upgraded.
                let parser = HTTP2Parser(.http2)
                self = .http2(parser)
                return parser.parse(payload, context, settings, into: &out)
            }
            self = .none
            defer { self = .http1(parser) }
            return parser.parse(payload, context, settings, into: &out)
        case .http2(let parser): return parser.parse(payload, context, settings, into: &out)
        case .dns(let parser): return parser.parse(payload, context, settings, into: &out)
        case .sofaRPC(let parser): return parser.parse(payload, context, settings, into: &out)
        case .dubbo(let parser): return parser.parse(payload, context, settings, into: &out)
        case .fastCGI(var parser):
            self = .none
            defer { self = .fastCGI(parser) }
            return parser.parse(payload, context, settings, into: &out)
        case .brpc(let parser): return parser.parse(payload, context, settings, into: &out)
        case .tars(let parser): return parser.parse(payload, context, settings, into: &out)
        case .someIp(let parser): return parser.parse(payload, context, settings, into: &out)
        case .ping(let parser): return parser.parse(payload, context, settings, into: &out)
        case .mysql(var parser):
            self = .none
            defer { self = .mysql(parser) }
            return parser.parse(payload, context, settings, &obfuscator, into: &out)
        case .redis(var parser):
            self = .none
            defer { self = .redis(parser) }
            return parser.parse(payload, context, settings, into: &out)
        case .tls(let parser): return parser.parse(payload, context, into: &out)
        case .amqp(var parser):
            self = .none
            defer { self = .amqp(parser) }
            return parser.parse(payload, context, into: &out)
        case .nats(var parser):
            self = .none
            defer { self = .nats(parser) }
            return parser.parse(payload, context, settings, into: &out)
        case .pulsar(var parser):
            self = .none
            defer { self = .pulsar(parser) }
            return parser.parse(payload, context, settings, into: &out)
        case .zmtp(var parser):
            self = .none
            defer { self = .zmtp(parser) }
            return parser.parse(payload, context, into: &out)
        case .rocketMQ(let parser): return parser.parse(payload, context, into: &out)
        case .openWire(var parser):
            self = .none
            defer { self = .openWire(parser) }
            return parser.parse(payload, context, settings, into: &out)
        case .kafka(var parser):
            self = .none
            defer { self = .kafka(parser) }
            return parser.parse(payload, context, settings, into: &out)
        case .mongodb(var parser):
            self = .none
            defer { self = .mongodb(parser) }
            return parser.parse(payload, context, settings, into: &out)
        case .memcached(var parser):
            self = .none
            defer { self = .memcached(parser) }
            return parser.parse(payload, context, settings, into: &out)
        case .postgresql(var parser):
            self = .none
            defer { self = .postgresql(parser) }
            return parser.parse(payload, context, settings, &obfuscator, into: &out)
        case .mqtt(var parser):
            self = .none
            defer { self = .mqtt(parser) }
            return parser.parse(payload, context, settings, into: &out)
        }
    }

    /// Tells where messages end, so that the engine cuts the stream into them.
    @inline(__always)
    static func isFramed(_ proto: L7Protocol) -> Bool {
        switch proto {
        case .dns, .mysql, .sofaRPC, .dubbo, .fastCGI, .brpc, .tars, .amqp, .nats, .pulsar, .zmtp, .rocketMQ, .openWire,
            .someIp:
            true
        default: false
        }
    }

    /// What stands at an offset of a followed stream where a message may begin.
    func frame(_ payload: RawSpan, _ at: Int, _ direction: PacketDirection) -> StreamCursor.Frame {
        switch self {
        case .dns: DNSParser.frame(payload, at)
        case .mysql(let parser): parser.frame(payload, at)
        case .sofaRPC: SofaRPCParser.frame(payload, at)
        case .dubbo: DubboParser.frame(payload, at)
        case .fastCGI: FastCGIParser.frame(payload, at)
        case .brpc: BrpcParser.frame(payload, at)
        case .tars: TarsParser.frame(payload, at)
        case .amqp: AMQPParser.frame(payload, at)
        case .nats: NATSParser.frame(payload, at)
        case .pulsar: PulsarFrame.frame(payload, at)
        case .zmtp: ZMTPParser.frame(payload, at)
        case .rocketMQ: RocketMQParser.frame(payload, at)
        case .openWire(let parser): parser.frame(payload, at)
        case .someIp: SomeIPParser.frame(payload, at)
        default: .foreign
        }
    }

    /// What is kept of one side is complete, or will not be told, once the other side speaks.
    ///
    /// - Parameter direction: in which it was sent.
    func endsByTurn(_ direction: PacketDirection) -> Bool {
        switch self {
        case .none, .tls: true
        case .http1(let parser): parser.endsByTurn
        case .http2(let parser): parser.waitsForData(direction)
        default: false
        }
    }

    /// Bytes of the stream are missing.
    mutating func missBytes() {
        switch self {
        case .http1(var parser):
            parser.missBytes()
            self = .http1(parser)
        case .redis(let parser): parser.missBytes()
        case .mysql(var parser):
            parser.missBytes()
            self = .mysql(parser)
        default: break
        }
    }

    /// Whether a response without endpoint takes that of its request. Source: agent-l7.md 6.5.
    static func inheritsEndpoint(_ proto: L7Protocol) -> Bool {
        switch proto {
        case .dns, .redis, .mongodb, .memcached, .postgresql, .zmtp, .ping: false
        default: true
        }
    }

    /// Whether such a response takes the endpoint as its resource, too: both are one text.
    static func inheritsResource(_ proto: L7Protocol) -> Bool {
        switch proto {
        case .amqp, .openWire, .pulsar: true
        default: false
        }
    }

    /// Whether errors are counted by the status of a message; AMQP counts none (agent-l7-protocols.md 16, trap).
    static func countsErrors(_ proto: L7Protocol) -> Bool { proto != .amqp }
}
