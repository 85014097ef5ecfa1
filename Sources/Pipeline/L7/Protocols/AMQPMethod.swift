import Model

/// Methods of AMQP 0-9-1 and what they are to a log. Source: agent-l7-protocols.md 16.
struct AMQPMethod {
    let name: String
    let type: LogMessageType
    let classID: UInt16
    let id: UInt16

    init?(classID: UInt16, id: UInt16) {
        guard let name = Self.name(classID, id) else { return nil }
        self.name = name
        self.classID = classID
        self.id = id
        type =
            switch (classID, id) {
            case (10, 60), (10, 61), (60, 40), (60, 50), (60, 60), (60, 80), (60, 90), (60, 100), (60, 120): .session
            case (60, 72): .response
            // Every `*Ok` method has an odd number.
            default: id % 2 == 1 ? .response : .request
            }
    }

    var isConnectionOpen: Bool { classID == 10 && id == 40 }
    var isConnectionCloseOk: Bool { classID == 10 && id == 51 }
    var isChannelClose: Bool { classID == 20 && id == 40 }

    private static func name(_ classID: UInt16, _ id: UInt16) -> String? {
        switch classID {
        case 10: connection(id)
        case 20: channel(id)
        case 40: exchange(id)
        case 50: queue(id)
        case 60: basic(id)
        case 85: id == 10 ? "Confirm.Select" : id == 11 ? "Confirm.SelectOk" : nil
        case 90: transaction(id)
        default: nil
        }
    }

    private static func connection(_ id: UInt16) -> String? {
        switch id {
        case 10: "Connection.Start"
        case 11: "Connection.StartOk"
        case 20: "Connection.Secure"
        case 21: "Connection.SecureOk"
        case 30: "Connection.Tune"
        case 31: "Connection.TuneOk"
        case 40: "Connection.Open"
        case 41: "Connection.OpenOk"
        case 50: "Connection.Close"
        case 51: "Connection.CloseOk"
        case 60: "Connection.Blocked"
        case 61: "Connection.Unblocked"
        case 70: "Connection.UpdateSecret"
        case 71: "Connection.UpdateSecretOk"
        default: nil
        }
    }

    private static func channel(_ id: UInt16) -> String? {
        switch id {
        case 10: "Channel.Open"
        case 11: "Channel.OpenOk"
        case 20: "Channel.Flow"
        case 21: "Channel.FlowOk"
        case 40: "Channel.Close"
        case 41: "Channel.CloseOk"
        default: nil
        }
    }

    private static func exchange(_ id: UInt16) -> String? {
        switch id {
        case 10: "Exchange.Declare"
        case 11: "Exchange.DeclareOk"
        case 20: "Exchange.Delete"
        case 21: "Exchange.DeleteOk"
        case 30: "Exchange.Bind"
        case 31: "Exchange.BindOk"
        case 40: "Exchange.Unbind"
        case 51: "Exchange.UnbindOk"
        default: nil
        }
    }

    private static func queue(_ id: UInt16) -> String? {
        switch id {
        case 10: "Queue.Declare"
        case 11: "Queue.DeclareOk"
        case 20: "Queue.Bind"
        case 21: "Queue.BindOk"
        case 30: "Queue.Purge"
        case 31: "Queue.PurgeOk"
        case 40: "Queue.Delete"
        case 41: "Queue.DeleteOk"
        case 50: "Queue.Unbind"
        case 51: "Queue.UnbindOk"
        default: nil
        }
    }

    private static func basic(_ id: UInt16) -> String? {
        switch id {
        case 10: "Basic.Qos"
        case 11: "Basic.QosOk"
        case 20: "Basic.Consume"
        case 21: "Basic.ConsumeOk"
        case 30: "Basic.Cancel"
        case 31: "Basic.CancelOk"
        case 40: "Basic.Publish"
        case 50: "Basic.Return"
        case 60: "Basic.Deliver"
        case 70: "Basic.Get"
        case 71: "Basic.GetOk"
        case 72: "Basic.GetEmpty"
        case 80: "Basic.Ack"
        case 90: "Basic.Reject"
        case 100: "Basic.RecoverAsync"
        case 110: "Basic.Recover"
        case 111: "Basic.RecoverOk"
        case 120: "Basic.Nack"
        default: nil
        }
    }

    private static func transaction(_ id: UInt16) -> String? {
        switch id {
        case 10: "Tx.Select"
        case 11: "Tx.SelectOk"
        case 20: "Tx.Commit"
        case 21: "Tx.CommitOk"
        case 30: "Tx.Rollback"
        case 31: "Tx.RollbackOk"
        default: nil
        }
    }
}

/// What the arguments of a method tell; offsets into the payload, empty = absent.
struct AMQPArguments {
    private(set) var vhost = 0..<0
    private(set) var queue = 0..<0
    private(set) var exchange = 0..<0
    private(set) var routingKey = 0..<0
    /// Of the methods that close or return.
    private(set) var replyCode: UInt16?
    private(set) var replyText = 0..<0

    /// Nil: an argument goes beyond the frame.
    init?(_ method: AMQPMethod, _ payload: RawSpan, _ range: Range<Int>) {
        var reader = AMQPReader(range)
        switch (method.classID, method.id) {
        case (10, 40): vhost = reader.shortString(payload)
        case (10, 50), (20, 40):
            replyCode = reader.u16(payload)
            replyText = reader.shortString(payload)
        case (40, 10), (40, 20):
            reader.skip(2)
            exchange = reader.shortString(payload)
        case (40, 30), (40, 40):
            // Destination and source of an exchange binding are not shown.
            reader.skip(2)
            _ = reader.shortString(payload)
            _ = reader.shortString(payload)
            routingKey = reader.shortString(payload)
        case (50, 10), (50, 30), (50, 40), (60, 20), (60, 70):
            reader.skip(2)
            queue = reader.shortString(payload)
        case (50, 11): queue = reader.shortString(payload)
        case (50, 20), (50, 50):
            reader.skip(2)
            queue = reader.shortString(payload)
            exchange = reader.shortString(payload)
            routingKey = reader.shortString(payload)
        case (60, 40):
            reader.skip(2)
            readExchange(payload, &reader)
        case (60, 50):
            replyCode = reader.u16(payload)
            replyText = reader.shortString(payload)
            readExchange(payload, &reader)
        case (60, 60):
            // Consumer tag, delivery tag, redelivered.
            _ = reader.shortString(payload)
            reader.skip(9)
            readExchange(payload, &reader)
        case (60, 71):
            reader.skip(9)
            readExchange(payload, &reader)
        default: break
        }
        guard reader.isValid else { return nil }
    }

    private mutating func readExchange(_ payload: RawSpan, _ reader: inout AMQPReader) {
        exchange = reader.shortString(payload)
        routingKey = reader.shortString(payload)
    }
}

/// Reads arguments one after the other; once one goes beyond the end, it and all later ones are empty.
struct AMQPReader {
    private(set) var at: Int
    let end: Int
    private(set) var isValid = true

    init(_ range: Range<Int>) {
        at = range.lowerBound
        end = range.upperBound
    }

    /// Start of the next `count` bytes, which are passed over.
    private mutating func take(_ count: Int) -> Int? {
        guard isValid, count <= end &- at else {
            isValid = false
            return nil
        }
        defer { at &+= count }
        return at
    }

    mutating func skip(_ count: Int) { _ = take(count) }

    mutating func u8(_ payload: RawSpan) -> UInt8 { take(1).map { payload.u8(at: $0) } ?? 0 }

    mutating func u16(_ payload: RawSpan) -> UInt16 { take(2).map { payload.be16(at: $0) } ?? 0 }

    mutating func u32(_ payload: RawSpan) -> UInt32 { take(4).map { payload.be32(at: $0) } ?? 0 }

    mutating func shortString(_ payload: RawSpan) -> Range<Int> { block(Int(u8(payload))) }

    mutating func longString(_ payload: RawSpan) -> Range<Int> { block(Int(u32(payload))) }

    private mutating func block(_ count: Int) -> Range<Int> { take(count).map { $0..<$0 &+ count } ?? 0..<0 }
}
