package import Model
import Synchronization
import Wire

/// Makes rows of records: the one way from records to rows, for the ingester and for printing.
///
/// Shared by all decoders; ids come from one counter per table family. Source: ingester.md 3, 4, 5.
package final class RowMaker: Sendable {
    private let l4IDs: RowIDs
    private let l7IDs: RowIDs
    /// Of all tables of events, and of application logs.
    let eventIDs: RowIDs
    let logIDs: RowIDs
    private let traceIDs: TraceIDIndexer
    private let platform: Mutex<PlatformData>

    /// - Parameter analyzerID: number of this server in row ids.
    package init(
        analyzerID: UInt16 = 0, traceIDs: TraceIDIndexer = TraceIDIndexer(), platform: PlatformData = PlatformData()
    ) {
        l4IDs = RowIDs(analyzerID: analyzerID)
        l7IDs = RowIDs(analyzerID: analyzerID)
        eventIDs = RowIDs(analyzerID: analyzerID)
        logIDs = RowIDs(analyzerID: analyzerID)
        self.traceIDs = traceIDs
        self.platform = Mutex(platform)
    }

    /// Replaces the platform tables for all rows made from now on.
    package func setPlatform(_ data: PlatformData) { platform.withLock { $0 = data } }

    /// The tables as they are now; a decoder takes them once a batch.
    package func platformSnapshot() -> PlatformData { platform.withLock { $0 } }

    package func row(_ flow: TaggedFlow, teamID: UInt16 = 1, platform: PlatformData) -> L4FlowLogRow {
        L4FlowLogRow(
            flow, id: l4IDs.next(seconds: flow.endTimeNs / 1_000_000_000), teamID: teamID, platform: platform)
    }

    package func row(_ log: L7FlowLog, teamID: UInt16 = 1, platform: PlatformData) -> L7FlowLogRow {
        L7FlowLogRow(
            log, id: l7IDs.next(seconds: log.base.endTimeNs / 1_000_000_000), teamID: teamID, traceIDs: traceIDs,
            platform: platform)
    }

    /// - Parameter agentID: of the frame that brought the span.
    func row(_ span: ReceivedSpan, teamID: UInt16, platform: PlatformData) -> L7FlowLogRow {
        L7FlowLogRow(
            span, id: l7IDs.next(seconds: span.span.endNs / 1_000_000_000), teamID: teamID, traceIDs: traceIDs,
            platform: platform)
    }

    /// A request or response before it is joined.
    package func row(message log: L7FlowLog) -> L7FlowLogRow {
        L7FlowLogRow(
            log, id: l7IDs.next(seconds: log.base.endTimeNs / 1_000_000_000), teamID: 1, traceIDs: traceIDs,
            platform: platformSnapshot(), isMessage: true)
    }

    package func row(_ flow: TaggedFlow) -> L4FlowLogRow { row(flow, platform: platformSnapshot()) }

    package func row(_ log: L7FlowLog) -> L7FlowLogRow { row(log, platform: platformSnapshot()) }

    /// - Returns: the row, or why the document has none.
    package func row(
        _ document: Document, teamID: UInt16 = 1
    ) -> Result<DocumentRow, DocumentRefusal> {
        DocumentRowBuilder(platform: platformSnapshot()).row(document, teamID: teamID)
    }
}

extension DocumentRow {
    /// The table of the row, by the interval of its document. Nil when the table has no such interval.
    package func table(perSecond: Bool) -> TableSchema? {
        switch self {
        case .network: perSecond ? Catalogue.network1s : Catalogue.network1m
        case .networkMap: perSecond ? Catalogue.networkMap1s : Catalogue.networkMap1m
        case .application: perSecond ? Catalogue.application1s : Catalogue.application1m
        case .applicationMap: perSecond ? Catalogue.applicationMap1s : Catalogue.applicationMap1m
        case .trafficPolicy: perSecond ? nil : Catalogue.trafficPolicy1m
        }
    }
}

/// A document row prints like the row it holds.
extension DocumentRow: StoredRow {
    package var seconds: UInt64 {
        switch self {
        case .network(let row): row.seconds
        case .networkMap(let row): row.seconds
        case .application(let row): row.seconds
        case .applicationMap(let row): row.seconds
        case .trafficPolicy(let row): row.seconds
        }
    }

    package var isIPv6: Bool {
        switch self {
        case .network(let row): row.isIPv6
        case .networkMap(let row): row.isIPv6
        case .application(let row): row.isIPv6
        case .applicationMap(let row): row.isIPv6
        case .trafficPolicy: false
        }
    }

    @_specialize(where Encoder == CSVRowPrinter)
    @_specialize(where Encoder == JSONRowPrinter)
    @_specialize(where Encoder == RowFields)
    package func encode<Encoder: RowEncoder>(into encoder: inout Encoder) {
        switch self {
        case .network(let row): row.encode(into: &encoder)
        case .networkMap(let row): row.encode(into: &encoder)
        case .application(let row): row.encode(into: &encoder)
        case .applicationMap(let row): row.encode(into: &encoder)
        case .trafficPolicy(let row): row.encode(into: &encoder)
        }
    }
}
