/// Numbers and names that appear on the wire and in tables. Source: agent-flow.md 2, agent-l7.md 2, ingester.md 9.

public enum PacketDirection: UInt8, Sendable, BitwiseCopyable {
    case clientToServer = 0
    case serverToClient = 1

    @inlinable public var reversed: PacketDirection { self == .clientToServer ? .serverToClient : .clientToServer }
}

public enum L4Protocol: UInt8, Sendable, BitwiseCopyable {
    case unknown = 0
    case tcp = 1
    case udp = 2
    case icmp = 3
}

public enum SignalSource: UInt8, Sendable, BitwiseCopyable {
    case packet = 0
    case xflow = 1
    case ebpf = 3
    case otel = 4
}

public enum TunnelType: UInt8, Sendable, BitwiseCopyable {
    case none = 0
    case vxlan = 1
    case ipip = 2
    case tencentGre = 3
    case geneve = 4
    case vxlanNsh = 5
    case erspan = 6
    case teb = 7
}

/// Capture network type ("tap type").
public enum CaptureNetworkType {
    @inlinable public static var cloud: UInt16 { 3 }
}

public enum AgentType: UInt8, Sendable, BitwiseCopyable {
    case unknown = 0
    case process = 1
    case vm = 2
    case publicCloud = 3
    case physicalMachine = 5
    case dedicatedPhysicalMachine = 6
    case hostPod = 7
    case vmPod = 8
    case tunnelDecapsulation = 9
    case hyperVCompute = 10
    case hyperVNetwork = 11
    case k8sSidecar = 12

    public var isPod: Bool { self == .hostPod || self == .vmPod || self == .k8sSidecar }
    public var isWorkload: Bool { self == .publicCloud || self == .physicalMachine }
    public var isHyperV: Bool { self == .hyperVCompute || self == .hyperVNetwork }
}

/// TCP flag bits.
public enum TCPFlags {
    @inlinable public static var fin: UInt8 { 1 }
    @inlinable public static var syn: UInt8 { 2 }
    @inlinable public static var rst: UInt8 { 4 }
    @inlinable public static var psh: UInt8 { 8 }
    @inlinable public static var ack: UInt8 { 16 }
    @inlinable public static var urg: UInt8 { 32 }
    @inlinable public static var mask: UInt8 { 0x3f }
    @inlinable public static var synAck: UInt8 { 0x12 }
}

/// IP protocol numbers.
/// Where the real address of an end comes from; the larger wins.
public enum NATSource {
    @inlinable public static var vip: UInt8 { 2 }
    @inlinable public static var rtoa: UInt8 { 4 }
    @inlinable public static var toa: UInt8 { 6 }
}

public enum IPProtocol {
    @inlinable public static var icmp: UInt8 { 1 }
    @inlinable public static var ipv4: UInt8 { 4 }
    @inlinable public static var tcp: UInt8 { 6 }
    @inlinable public static var udp: UInt8 { 17 }
    @inlinable public static var ipv6: UInt8 { 41 }
    @inlinable public static var gre: UInt8 { 47 }
    @inlinable public static var icmpv6: UInt8 { 58 }

    public static func name(_ number: UInt8) -> String {
        switch number {
        case 1: "ICMP"
        case 2: "IGMP"
        case 4: "IPIP"
        case 6: "TCP"
        case 17: "UDP"
        case 41: "IPv6"
        case 47: "GRE"
        case 50: "ESP"
        case 51: "AH"
        case 58: "ICMPv6"
        case 89: "OSPF"
        case 132: "SCTP"
        default: "\(number)"
        }
    }
}

public enum EtherType {
    @inlinable public static var ipv4: UInt16 { 0x0800 }
    @inlinable public static var arp: UInt16 { 0x0806 }
    @inlinable public static var dot1q: UInt16 { 0x8100 }
    @inlinable public static var ipv6: UInt16 { 0x86dd }
    @inlinable public static var qinq: UInt16 { 0x88a8 }
}

/// Why a flow record was written. Source: agent-flow.md 10.3.
public enum CloseType: UInt8, Sendable, BitwiseCopyable {
    case unknown = 0
    case finish = 1
    case tcpServerRst = 2
    case timeout = 3
    case forcedReport = 5
    case clientSynRepeat = 7
    case serverHalfClose = 8
    case tcpClientRst = 9
    case serverSynAckRepeat = 10
    case clientHalfClose = 11
    case clientSourcePortReuse = 13
    case serverReset = 15
    case serverQueueLack = 17
    case clientEstablishReset = 18
    case serverEstablishReset = 19
    case tcpFinClientRst = 20

    /// Readable twin of the `close_type` column.
    public var text: String {
        switch self {
        case .unknown: "unknown"
        case .finish: "finish"
        case .tcpServerRst: "server RST"
        case .timeout: "timeout"
        case .forcedReport: "forced report"
        case .clientSynRepeat: "server SYN miss"
        case .serverHalfClose: "server half close"
        case .tcpClientRst: "client RST"
        case .serverSynAckRepeat: "client ACK miss"
        case .clientHalfClose: "client half close"
        case .clientSourcePortReuse: "client port reuse"
        case .serverReset: "server reset"
        case .serverQueueLack: "server queue lack"
        case .clientEstablishReset: "client establish RST"
        case .serverEstablishReset: "server establish RST"
        case .tcpFinClientRst: "finish with client RST"
        }
    }
}

/// Observation point of a record, and the direction of one end: low 3 bits role, high 5 bits place.
public enum TapSide: UInt8, Sendable, BitwiseCopyable, CaseIterable {
    case rest = 0
    case client = 1
    case server = 2
    case local = 4
    case clientNode = 9
    case serverNode = 10
    case clientHypervisor = 17
    case serverHypervisor = 18
    case clientGatewayHypervisor = 25
    case serverGatewayHypervisor = 26
    case clientGateway = 33
    case serverGateway = 34
    case clientProcess = 41
    case serverProcess = 42
    case app = 48
    case clientApp = 49
    case serverApp = 50

    /// The `observation_point` column.
    public var text: String {
        switch self {
        case .rest: "rest"
        case .client: "c"
        case .server: "s"
        case .local: "local"
        case .clientNode: "c-nd"
        case .serverNode: "s-nd"
        case .clientHypervisor: "c-hv"
        case .serverHypervisor: "s-hv"
        case .clientGatewayHypervisor: "c-gw-hv"
        case .serverGatewayHypervisor: "s-gw-hv"
        case .clientGateway: "c-gw"
        case .serverGateway: "s-gw"
        case .clientProcess: "c-p"
        case .serverProcess: "s-p"
        case .app: "app"
        case .clientApp: "c-app"
        case .serverApp: "s-app"
        }
    }

    /// Client and server exchanged at the same place; rest, local and app are fixed points.
    public var reversed: TapSide {
        switch self {
        case .rest, .local, .app: self
        default: TapSide(rawValue: rawValue ^ 3) ?? self
        }
    }
}

public enum L7ResponseStatus: UInt8, Sendable, BitwiseCopyable {
    case ok = 0
    case timeout = 2
    case serverError = 3
    case clientError = 4
    case unknown = 5
    case parseFailed = 6

    public var text: String {
        switch self {
        case .ok: "ok"
        case .timeout: "timeout"
        case .serverError: "server_error"
        case .clientError: "client_error"
        case .unknown: "unknown"
        case .parseFailed: "parse_failed"
        }
    }
}

public enum LogMessageType: UInt8, Sendable, BitwiseCopyable {
    case request = 0
    case response = 1
    case session = 2
    case other = 3

    public var text: String {
        switch self {
        case .request: "request"
        case .response: "response"
        case .session: "session"
        case .other: "other"
        }
    }
}

/// Application protocols; the raw value is that of the wire and of all tables.
public enum L7Protocol: UInt8, Sendable, BitwiseCopyable, CaseIterable {
    case unknown = 0
    case http1 = 20
    case http2 = 21
    case dubbo = 40
    case grpc = 41
    case sofaRPC = 43
    case fastCGI = 44
    case brpc = 45
    case tars = 46
    case someIp = 47
    case iso8583 = 48
    case triple = 49
    case netSign = 50
    case mysql = 60
    case postgresql = 61
    case oracle = 62
    case dameng = 63
    case redis = 80
    case mongodb = 81
    case memcached = 82
    case kafka = 100
    case mqtt = 101
    case amqp = 102
    case openWire = 103
    case nats = 104
    case pulsar = 105
    case zmtp = 106
    case rocketMQ = 107
    case webSphereMQ = 108
    case dns = 120
    case tls = 121
    case ping = 122
    case custom = 127

    /// Name shown in tables and screens (`l7_protocol_str`, `biz_protocol`).
    public var displayName: String {
        switch self {
        case .unknown: "N/A"
        case .http1: "HTTP"
        case .http2: "HTTP2"
        case .dubbo: "Dubbo"
        case .grpc: "gRPC"
        case .sofaRPC: "SofaRPC"
        case .fastCGI: "FastCGI"
        case .brpc: "bRPC"
        case .tars: "Tars"
        case .someIp: "SOME/IP"
        case .iso8583: "ISO-8583"
        case .triple: "TRIPLE"
        case .netSign: "NetSign"
        case .mysql: "MySQL"
        case .postgresql: "PostgreSQL"
        case .oracle: "Oracle"
        case .dameng: "Dameng"
        case .redis: "Redis"
        case .mongodb: "MongoDB"
        case .memcached: "Memcached"
        case .kafka: "Kafka"
        case .mqtt: "MQTT"
        case .amqp: "AMQP"
        case .openWire: "OpenWire"
        case .nats: "NATS"
        case .pulsar: "Pulsar"
        case .zmtp: "ZMTP"
        case .rocketMQ: "RocketMQ"
        case .webSphereMQ: "WebSphereMQ"
        case .dns: "DNS"
        case .tls: "TLS"
        case .ping: "Ping"
        case .custom: "Custom"
        }
    }

    /// By display or parser name in any case; `http1`, `http/1` and `https` mean HTTP/1.
    public static func named(_ name: some StringProtocol) -> L7Protocol? {
        let wanted = name.lowercased()
        switch wanted {
        case "http1", "http/1", "http_1", "https": return .http1
        case "http/2", "http_2", "h2": return .http2
        case "someip": return .someIp
        case "iso8583": return .iso8583
        case "net-sign", "net_sign": return .netSign
        case "postgres": return .postgresql
        case "mongo": return .mongodb
        default: return allCases.first { $0 != .unknown && $0.displayName.lowercased() == wanted }
        }
    }

    /// Protocols that carry a session id of their own. Source: agent-l7.md 2.4.
    public var hasSessionID: Bool {
        switch self {
        case .dns, .fastCGI, .http2, .tls, .kafka, .dubbo, .sofaRPC, .someIp, .ping, .triple, .custom: true
        default: false
        }
    }
}
