package import Model

/// A set of protocols: bit `1 << raw value` of 128 (agent-l7.md 2.1).
package struct L7ProtocolSet: Sendable, Equatable, ExpressibleByArrayLiteral {
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    package init() {}

    package init(arrayLiteral elements: L7Protocol...) {
        for element in elements { insert(element) }
    }

    package init(_ elements: some Sequence<L7Protocol>) {
        for element in elements { insert(element) }
    }

    /// From `enabled_protocols`, `obfuscate_protocols`: unknown names are ignored without an error.
    package init(parserNames names: [String]) {
        for name in names { if let proto = L7Names.parser(name) { insert(proto) } }
    }

    package mutating func insert(_ proto: L7Protocol) {
        let bit = proto.rawValue
        if bit < 64 { low |= 1 << UInt64(bit) } else if bit < 128 { high |= 1 << UInt64(bit & 63) }
    }

    package func contains(_ proto: L7Protocol) -> Bool {
        let bit = proto.rawValue
        return bit < 64 ? low & 1 << UInt64(bit) != 0 : bit < 128 && high & 1 << UInt64(bit & 63) != 0
    }

    package var isEmpty: Bool { low | high == 0 }
}

/// The name spaces of protocols besides the display names. Source: agent-l7.md 2.2.
package enum L7Names {
    /// Case-sensitive names of `enabled_protocols`, `port_number_prefilters`, `obfuscate_protocols`.
    package static func parser(_ name: String) -> L7Protocol? {
        switch name {
        case "HTTP": .http1
        case "HTTP2": .http2
        case "gRPC": .grpc
        case "Triple": .triple
        case "Custom": .custom
        case "DNS": .dns
        case "SofaRPC": .sofaRPC
        case "MySQL": .mysql
        case "Kafka": .kafka
        case "Redis": .redis
        case "MongoDB": .mongodb
        case "Memcached": .memcached
        case "PostgreSQL": .postgresql
        case "Dubbo": .dubbo
        case "FastCGI": .fastCGI
        case "Brpc": .brpc
        case "Tars": .tars
        case "MQTT": .mqtt
        case "AMQP": .amqp
        case "NATS": .nats
        case "Pulsar": .pulsar
        case "ZMTP": .zmtp
        case "RocketMQ": .rocketMQ
        case "OpenWire": .openWire
        case "Ping": .ping
        case "Oracle": .oracle
        case "Dameng": .dameng
        case "Iso8583", "ISO-8583": .iso8583
        case "NetSign", "netsign", "net_sign": .netSign
        case "WebSphereMQ": .webSphereMQ
        case "TLS": .tls
        case "SomeIp": .someIp
        default: nil
        }
    }

    /// Keys of `tag_filters`, `session_aggregate[].protocol` and the OTel mapping, in any case; others are Unknown.
    package static func key(_ name: String) -> L7Protocol {
        switch name.lowercased() {
        case "http", "https": .http1
        case "http2": .http2
        case "dubbo": .dubbo
        case "grpc": .grpc
        case "fastcgi": .fastCGI
        case "brpc": .brpc
        case "tars": .tars
        case "custom": .custom
        case "sofarpc": .sofaRPC
        case "mysql": .mysql
        case "mongodb": .mongodb
        case "postgresql": .postgresql
        case "redis": .redis
        case "memcached": .memcached
        case "kafka": .kafka
        case "mqtt": .mqtt
        case "amqp": .amqp
        case "openwire": .openWire
        case "nats": .nats
        case "pulsar": .pulsar
        case "zmtp": .zmtp
        case "rocketmq": .rocketMQ
        case "webspheremq": .webSphereMQ
        case "dns": .dns
        case "oracle": .oracle
        case "dameng": .dameng
        case "triple": .triple
        case "tls": .tls
        case "ping": .ping
        case "iso8583", "iso-8583": .iso8583
        case "some/ip", "someip": .someIp
        case "netsign", "net-sign", "net_sign": .netSign
        default: .unknown
        }
    }
}
