import Model

/// Commands of the Pulsar binary protocol: names, kinds, and where the shared facts stand in their messages.
/// Source: agent-l7-protocols.md 19; PulsarApi.proto.
struct PulsarType: Equatable {
    let rawValue: Int

    static let connect = PulsarType(rawValue: 2)
    static let connected = PulsarType(rawValue: 3)
    static let subscribe = PulsarType(rawValue: 4)
    static let producer = PulsarType(rawValue: 5)
    static let send = PulsarType(rawValue: 6)
    static let message = PulsarType(rawValue: 9)

    /// Number of the field in which the message of the command stands. ADD_SUBSCRIPTION_TO_TXN_RESPONSE is looked for
    /// in that of ADD_PARTITION_TO_TXN_RESPONSE (trap).
    var field: Int { rawValue == 55 ? 53 : rawValue }

    /// Nil = unknown command.
    var name: String? {
        switch rawValue {
        case 2: "CONNECT"
        case 3: "CONNECTED"
        case 4: "SUBSCRIBE"
        case 5: "PRODUCER"
        case 6: "SEND"
        case 7: "SEND_RECEIPT"
        case 8: "SEND_ERROR"
        case 9: "MESSAGE"
        case 10: "ACK"
        case 11: "FLOW"
        case 12: "UNSUBSCRIBE"
        case 13: "SUCCESS"
        case 14: "ERROR"
        case 15: "CLOSE_PRODUCER"
        case 16: "CLOSE_CONSUMER"
        case 17: "PRODUCER_SUCCESS"
        case 18: "PING"
        case 19: "PONG"
        case 20: "REDELIVER_UNACKNOWLEDGED_MESSAGES"
        case 21: "PARTITIONED_METADATA"
        case 22: "PARTITIONED_METADATA_RESPONSE"
        case 23: "LOOKUP"
        case 24: "LOOKUP_RESPONSE"
        case 25: "CONSUMER_STATS"
        case 26: "CONSUMER_STATS_RESPONSE"
        case 27: "REACHED_END_OF_TOPIC"
        case 28: "SEEK"
        case 29: "GET_LAST_MESSAGE_ID"
        case 30: "GET_LAST_MESSAGE_ID_RESPONSE"
        case 31: "ACTIVE_CONSUMER_CHANGE"
        case 32: "GET_TOPICS_OF_NAMESPACE"
        case 33: "GET_TOPICS_OF_NAMESPACE_RESPONSE"
        case 34: "GET_SCHEMA"
        case 35: "GET_SCHEMA_RESPONSE"
        case 36: "AUTH_CHALLENGE"
        case 37: "AUTH_RESPONSE"
        case 38: "ACK_RESPONSE"
        case 39: "GET_OR_CREATE_SCHEMA"
        case 40: "GET_OR_CREATE_SCHEMA_RESPONSE"
        case 50: "NEW_TXN"
        case 51: "NEW_TXN_RESPONSE"
        case 52: "ADD_PARTITION_TO_TXN"
        case 53: "ADD_PARTITION_TO_TXN_RESPONSE"
        case 54: "ADD_SUBSCRIPTION_TO_TXN"
        case 55: "ADD_SUBSCRIPTION_TO_TXN_RESPONSE"
        case 56: "END_TXN"
        case 57: "END_TXN_RESPONSE"
        case 58: "END_TXN_ON_PARTITION"
        case 59: "END_TXN_ON_PARTITION_RESPONSE"
        case 60: "END_TXN_ON_SUBSCRIPTION"
        case 61: "END_TXN_ON_SUBSCRIPTION_RESPONSE"
        case 62: "TC_CLIENT_CONNECT_REQUEST"
        case 63: "TC_CLIENT_CONNECT_RESPONSE"
        case 64: "WATCH_TOPIC_LIST"
        case 65: "WATCH_TOPIC_LIST_SUCCESS"
        case 66: "WATCH_TOPIC_UPDATE"
        case 67: "WATCH_TOPIC_LIST_CLOSE"
        case 68: "TOPIC_MIGRATED"
        default: nil
        }
    }

    var messageType: LogMessageType {
        switch rawValue {
        case 9, 10, 11, 20, 27, 31, 38, 64...68: .session
        case 3, 7, 8, 13, 14, 17, 19, 22, 24, 26, 30, 33, 35, 37, 40, 51, 53, 55, 57, 59, 61, 63: .response
        default: .request
        }
    }

    /// Field of `request_id`.
    var requestIDField: Int? {
        switch rawValue {
        case 13, 14, 17, 25, 26, 32...35, 39, 40, 50...63: 1
        case 12, 15, 16, 21...23, 28...30: 2
        case 5: 3
        case 24: 4
        case 4: 5
        default: nil
        }
    }

    /// SEND and its answers are paired by producer and sequence instead.
    var isSending: Bool { (6...8).contains(rawValue) }

    var producerIDField: Int? {
        switch rawValue {
        case 6, 7, 8, 15: 1
        case 5: 2
        default: nil
        }
    }

    var consumerIDField: Int? {
        switch rawValue {
        case 9...12, 16, 20, 27...29, 31, 38: 1
        case 4, 25: 4
        default: nil
        }
    }

    /// Fields of error code and error text.
    var errorFields: (code: Int, text: Int)? {
        switch rawValue {
        case 14, 26, 35, 40, 63: (2, 3)
        case 8: (3, 4)
        case 22, 51, 53, 55, 57, 59, 61: (4, 5)
        case 24: (6, 7)
        default: nil
        }
    }

    var messageIDField: Int? {
        switch self {
        case .message: 2
        case .send: 9
        default: nil
        }
    }

    /// Fields of the protocol version.
    var versionField: Int? {
        switch self {
        case .connect: 4
        case .connected: 2
        default: nil
        }
    }
}
