import Model
import Samples

struct AMQPTarget: L7Target {
    static let (name, proto) = ("amqp", L7Protocol.amqp)
    static let conversations = [
        SampleQueues.conversation([
            "c 414d515000000901", "s 0100000000000c000a001e07ff00020000003cce", "c 01000000000008000a0028012f0000ce",
            "s 01000000000005000a002900ce", "c 010001000000050014000a00ce", "s 010001000000080014000b00000000ce",
            "c 010001000000170028000a0000046c6f67730666616e6f75740000000000ce", "s 010001000000040028000bce",
            // Basic.Publish, a content header with `traceparent`, a body.
            "c 0100010000000d003c00280000046c6f67730000ce"
                + "02000100000032003c000000000000000000052000000000200b7472616365706172656e7453"
                + "0000000f30302d616161612d626262622d3031ce" + "0300010000000568656c6c6fce",
            // Channel.Close with 404.
            "s 0100010000000f00140028019404676f6e650032000ace",
        ])
    ]
}

struct NATSTarget: L7Target {
    static let (name, proto) = ("nats", L7Protocol.nats)
    static let conversations = [
        SampleQueues.texts([
            "s INFO {\"server_id\":\"S\",\"server_name\":\"n\",\"version\":\"2.10\",\"go\":\"go1\",\"host\":\"::\","
                + "\"port\":4222,\"max_payload\":1048576}\r\n",
            "c CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":false,\"version\":\"1\"}\r\nPING\r\n",
            "s PONG\r\n+OK\r\n", "c SUB a.b q 1\r\nPUB a.b r 5\r\nhello\r\n",
            "s MSG a.b 1 r 5\r\nhello\r\nHMSG a 1 29 31\r\nNATS/1.0\r\nsw8: 1-YQ==-Yg==-3\r\n\r\nhi\r\n-ERR 'x'\r\n",
        ])
    ]
}

struct PulsarTarget: L7Target {
    static let (name, proto) = ("pulsar", L7Protocol.pulsar)
    static let conversations = [
        SampleQueues.conversation([
            "c 0000002900000025080212210a1150756c7361722d4350502d76332e342e3220132a046e6f6e65520408011001",
            "c 0000003a0000003608052a320a2470657273697374656e743a2f2f7075626c69632f64656661756c742f6d792d746f70696310001800"
                + "2800400048005000",
            "c 0000003d0000000808063204080010000e01c8272af6000000190a0e7374616e64616c6f6e652d302d34100018d6fcdccade3168656c"
                + "6c6f2d70756c7361722d30",
            "s 0000001d0000001908073a15080010011a040809102920ffffffffffffffffff01",
            "s 0000000f0000000b0816b20106080010011800",
        ])
    ]
}

struct ZMTPTarget: L7Target {
    static let (name, proto) = ("zmtp", L7Protocol.zmtp)
    private static let rest =
        "014e554c4c00000000000000000000000000000000" + String(repeating: "00", count: 32)
    static let conversations = [
        SampleQueues.conversation([
            "s ff00000000000000017f", "c ff00000000000000017f03", "s 03" + rest, "c " + rest,
            "s 04190552454144590b536f636b65742d5479706500000003524550",
            "c 04260552454144590b536f636b65742d5479706500000003524551084964656e7469747900000000",
            "c 0100000b48656c6c6f20776f726c64", "s 0100000b48656c6c6f20776f726c64",
            "c 040e095355425343524942456e657773",
            "s 04095e52524f5203343030", "c 02000000000000040068656c6c6f",
        ])
    ]
}

struct RocketMQTarget: L7Target {
    static let (name, proto) = ("rocketmq", L7Protocol.rocketMQ)
    static let conversations = [
        SampleQueues.frames([
            "c {\"code\":310,\"extFields\":{\"a\":\"g\",\"b\":\"t\",\"e\":\"3\","
                + "\"i\":\"KEY\\u0001k\\u0002sw8\\u00011-YQ==-Yg==-3\"},"
                + "\"flag\":0,\"language\":\"JAVA\",\"opaque\":7,\"serializeTypeCurrentRPC\":\"JSON\",\"version\":293}",
            "s {\"code\":0,\"flag\":1,\"language\":\"JAVA\",\"opaque\":7,\"remark\":\"FOUND\","
                + "\"serializeTypeCurrentRPC\":\"JSON\",\"version\":293}",
        ]),
        SampleQueues.conversation([
            // GET_ROUTEINFO_BY_TOPIC, topic `t`, in the binary form.
            "c 00000025010000210069000125000000070000000000000000" + "0000000c0005746f7069630000000174"
        ]),
    ]
}

struct OpenWireTarget: L7Target {
    static let (name, proto) = ("openwire", L7Protocol.openWire)
    private static func offer(tight: Bool) -> String {
        "00000054014163746976654d510000000c0100000042000000030014" + "5469676874456e636f64696e67456e61626c6564"
            + (tight ? "0101" : "0100") + "0012" + "53697a6550726566697844697361626c6564" + "0100000c"
            + "4361636865456e61626c65640100"
    }
    private static let tight = [
        "c 000000600303ff53000000000178002049443a6c6f63616c686f73742d312d313730353336393431383335362d303a30002049443a6c6f63"
            + "616c686f73742d312d313730353336393431383335362d313a300000",
        "s 0000000b1e01000000000000000001",
        "s 000001361509aecff57415c006e001000000007a002049443a6c6f63616c686f73742d312d313730353336393431383335362d303a300001"
            + "0001650008544553542e464f4f1c000000057b002049443a6c6f63616c686f73742d312d313730353336393431383335362d303a310001"
            + "0001650008544553542e464f4f6e7b002049443a6c6f63616c686f73742d312d313730353336393431383335362d303a31000100010001",
        "c 000000961605eeda55ba0a00000005650008544553542e464f4f7a002049443a6c6f63616c686f73742d312d313730353336393431383335"
            + "362d303a3000010001026e7b002049443a6c6f63616c686f73742d312d313730353336393431383335362d303a310001000100016e7b00"
            + "2049443a6c6f63616c686f73742d312d313730353336393431383335362d303a3100010001000100000001",
    ]
    static let conversations = [
        SampleQueues.conversation(["c " + offer(tight: true), "s " + offer(tight: true)] + tight),
        SampleQueues.conversation([
            "c " + offer(tight: false), "s " + offer(tight: true), "s 0000000a1e00000000000000000001",
            "c 000000060b0000000300", "s 000000181f0000000000000000050101000143" + "01000466756c6c0000",
        ]),
    ]
}
