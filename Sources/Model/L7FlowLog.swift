/// One application request, response or joined session. Source: agent-l7.md 7, 10; wire.md 7.3.
package struct L7FlowLog: Sendable {
    package var base = L7Base()

    /// -1 = unknown.
    package var requestLength: Int32 = -1
    package var responseLength: Int32 = -1

    package var requestType = ""
    package var requestDomain = ""
    package var requestResource = ""
    package var endpoint = ""

    /// `L7ResponseStatus` raw value.
    package var responseStatus: UInt8 = L7ResponseStatus.unknown.rawValue
    /// `noCode` = none.
    package var responseCode: Int32 = L7FlowLog.noCode
    package var responseException = ""
    package var responseResult = ""

    package var version = ""
    package var trace: L7Trace?
    package var ext: L7Ext?
    package var rowEffect: UInt32 = 0
    package var directionScore: UInt8 = 0
    /// Bits 1 TLS, 2 async, 4 reversed.
    package var flags: UInt8 = 0
    package var capturedRequestByte: UInt32 = 0
    package var capturedResponseByte: UInt32 = 0
    package var bizCode = ""
    package var bizScenario = ""
    package var bizResponseCode = ""
    /// False only for a decoded record whose `req` / `resp` was absent.
    package var hasRequest = true
    package var hasResponse = true

    package static let noCode: Int32 = -32768
    package static let flagTLS: UInt8 = 1
    package static let flagAsync: UInt8 = 2
    package static let flagReversed: UInt8 = 4

    package init() {}
}

package struct L7Trace: Sendable, Equatable {
    /// Only filled by foreign senders; agents send `traceIDs`.
    package var traceID = ""
    package var spanID = ""
    package var parentSpanID = ""
    package var traceIDs: [String] = []

    package init() {}
}

package struct L7Ext: Sendable, Equatable {
    package var serviceName = ""
    package var clientIP = ""
    package var requestID: UInt32 = 0
    package var xRequestID0 = ""
    package var xRequestID1 = ""
    package var userAgent = ""
    package var referer = ""
    package var rpcService = ""
    package var protocolText = ""
    package var attributeNames: [String] = []
    package var attributeValues: [String] = []
    package var metricsNames: [String] = []
    package var metricsValues: [Double] = []

    package init() {}
}

package struct L7Base: Sendable {
    package var startTimeNs: UInt64 = 0
    package var endTimeNs: UInt64 = 0
    package var flowID: UInt64 = 0
    package var tapPort: UInt64 = 0
    package var macSrc: UInt64 = 0
    package var macDst: UInt64 = 0
    package var ipSrc = IPAddress()
    package var ipDst = IPAddress()
    package var l3EpcIDSrc: Int32 = 0
    package var l3EpcIDDst: Int32 = 0
    package var reqTCPSeq: UInt32 = 0
    package var respTCPSeq: UInt32 = 0
    package var processID0: UInt32 = 0
    package var processID1: UInt32 = 0
    package var processName0 = ""
    package var processName1 = ""
    package var syscallTraceIDRequest: UInt64 = 0
    package var syscallTraceIDResponse: UInt64 = 0
    package var syscallThread0: UInt32 = 0
    package var syscallThread1: UInt32 = 0
    package var syscallCapSeq0: UInt64 = 0
    package var syscallCapSeq1: UInt64 = 0
    package var syscallCoroutine0: UInt64 = 0
    package var syscallCoroutine1: UInt64 = 0
    package var gpid0: UInt32 = 0
    package var gpid1: UInt32 = 0
    package var podID0: UInt32 = 0
    package var podID1: UInt32 = 0
    package var agentID: UInt16 = 0
    package var tapType: UInt16 = 0
    package var portSrc: UInt16 = 0
    package var portDst: UInt16 = 0
    package var isIPv6 = false
    package var isVipInterfaceSrc = false
    package var isVipInterfaceDst = false
    /// `TapSide` raw value.
    package var tapSide: UInt8 = 0
    package var proto: UInt8 = 0
    package var bizType: UInt8 = 0
    /// `L7Protocol` raw value.
    package var l7Protocol: UInt8 = 0
    /// `LogMessageType` raw value.
    package var messageType: UInt8 = LogMessageType.other.rawValue
    /// Response time, nanoseconds as on the wire (microseconds x 1000).
    package var rrtNs: UInt64 = 0

    package init() {}
}
