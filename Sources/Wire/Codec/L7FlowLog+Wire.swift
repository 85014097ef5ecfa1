package import Model

/// `flow_log.AppProtoLogsData`, message type 5. Source: wire.md 7.3, agent-l7.md 10.
extension L7FlowLog: WireEncodable {
    package func encode(into writer: inout WireWriter) {
        let baseStart = writer.begin(1)
        base.encode(into: &writer)
        writer.end(baseStart)
        writer.int32(9, requestLength)
        writer.int32(10, responseLength)
        if hasRequest {
            let start = writer.begin(11)
            writer.string(1, requestType)
            writer.string(2, requestDomain)
            writer.string(3, requestResource)
            writer.string(4, endpoint)
            writer.end(start)
        }
        if hasResponse {
            let start = writer.begin(12)
            writer.varint(1, responseStatus)
            writer.int32(2, responseCode)
            writer.string(3, responseException)
            writer.string(4, responseResult)
            writer.end(start)
        }
        writer.string(13, version)
        if let trace {
            let start = writer.begin(14)
            writer.string(1, trace.traceID)
            writer.string(2, trace.spanID)
            writer.string(3, trace.parentSpanID)
            writer.strings(4, trace.traceIDs)
            writer.end(start)
        }
        if let ext {
            let start = writer.begin(15)
            ext.encode(into: &writer)
            writer.end(start)
        }
        writer.varint(16, rowEffect)
        writer.varint(17, directionScore)
        writer.varint(18, flags)
        writer.varint(19, capturedRequestByte)
        writer.varint(20, capturedResponseByte)
        writer.string(21, bizCode)
        writer.string(22, bizScenario)
        writer.string(23, bizResponseCode)
    }
}

extension L7Base {
    @inline(__always)
    fileprivate func encode(into writer: inout WireWriter) {
        writer.varint(1, startTimeNs)
        writer.varint(2, endTimeNs)
        writer.varint(3, flowID)
        writer.varint(4, tapPort)
        writer.varint(5, agentID)
        writer.varint(6, tapType)
        writer.flag(7, isIPv6)
        writer.varint(8, tapSide)
        let head = writer.begin(9)
        writer.varint(1, l7Protocol)
        writer.varint(2, messageType)
        writer.varint(5, rrtNs)
        writer.end(head)
        writer.varint(10, macSrc)
        writer.varint(11, macDst)
        if isIPv6 {
            writer.address16(14, ipSrc)
            writer.address16(15, ipDst)
        } else {
            writer.varint(12, ipSrc.v4)
            writer.varint(13, ipDst.v4)
            writer.address16(14, IPAddress())
            writer.address16(15, IPAddress())
        }
        writer.int32(16, l3EpcIDSrc)
        writer.int32(17, l3EpcIDDst)
        writer.varint(18, portSrc)
        writer.varint(19, portDst)
        writer.varint(20, proto)
        writer.flag(21, isVipInterfaceSrc)
        writer.flag(22, isVipInterfaceDst)
        writer.varint(23, reqTCPSeq)
        writer.varint(24, respTCPSeq)
        writer.varint(25, processID0)
        writer.varint(26, processID1)
        writer.string(27, processName0)
        writer.string(28, processName1)
        writer.varint(29, syscallTraceIDRequest)
        writer.varint(30, syscallTraceIDResponse)
        writer.varint(31, syscallThread0)
        writer.varint(32, syscallThread1)
        writer.varint(33, UInt32(truncatingIfNeeded: syscallCapSeq0))
        writer.varint(34, UInt32(truncatingIfNeeded: syscallCapSeq1))
        writer.varint(35, gpid0)
        writer.varint(36, gpid1)
        writer.varint(39, syscallCoroutine0)
        writer.varint(40, syscallCoroutine1)
        writer.varint(41, podID0)
        writer.varint(42, podID1)
        writer.varint(43, bizType)
    }
}

extension L7Ext {
    fileprivate func encode(into writer: inout WireWriter) {
        writer.string(1, serviceName)
        writer.string(2, clientIP)
        writer.varint(3, requestID)
        writer.string(4, xRequestID0)
        writer.string(6, userAgent)
        writer.string(7, referer)
        writer.string(8, rpcService)
        writer.string(9, protocolText)
        writer.string(10, xRequestID1)
        writer.strings(16, attributeNames)
        writer.strings(17, attributeValues)
        writer.strings(18, metricsNames)
        writer.packed(19, metricsValues)
    }
}
