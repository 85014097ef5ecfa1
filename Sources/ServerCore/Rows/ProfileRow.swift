package import Model

/// A row of `profile.in_process`: one stack and what it took. Source: ingester.md 6.5 and the table's columns.
///
/// The stack is kept as text, so that queries can read it; `compression_algo` is empty accordingly.
package struct ProfileRow: StoredRow {
    package var id: UInt64 = 0
    package var side = OwnSide()
    package var appService = ""
    package var stack = ""
    package var value: Int64 = 0
    package var unit = ""
    package var eventType = ""
    package var createdUs: UInt64 = 0
    package var receivedUs: UInt64 = 0
    package var language = ""
    package var labels: [(name: String, value: String)] = []
    package var processID: UInt32 = 0
    package var processStart: UInt64 = 0
    package var agentID: UInt16 = 0
    package var teamID: UInt16 = 0

    package var seconds: UInt64 { createdUs / 1_000_000 }
    package var isIPv6: Bool { side.isIPv6 }

    private func label(_ name: String) -> String { labels.first { $0.name == name }?.value ?? "" }

    /// The labels, and behind them columns of the row under their own names.
    private var allTags: [(name: String, value: String)] {
        labels + [
            ("app_service", appService), ("profile_language_type", language), ("trace_id", ""),
            ("span_name", label("span_name")), ("app_instance", appService),
        ]
    }

    @_specialize(where Encoder == CSVRowPrinter)
    @_specialize(where Encoder == JSONRowPrinter)
    @_specialize(where Encoder == RowFields)
    package func encode<Encoder: RowEncoder>(into e: inout Encoder) {
        let tags = side.tags
        let named = allTags
        e.time(seconds: seconds)
        e.uint(id)
        e.ip4(side.isIPv6 ? 0 : side.address.v4)
        e.ip6(side.isIPv6 ? side.address : IPAddress())
        e.uint(side.isIPv4 ? 1 : 0)
        e.text(appService)
        e.text(stack)
        e.int(value)
        e.text(unit)
        e.text(eventType)
        e.time(micros: createdUs)
        e.time(micros: receivedUs)
        e.text(language)
        e.text(label("profile_id"))
        e.text("")
        e.text(label("span_name"))
        e.text(appService)
        e.texts(named.map(\.name))
        e.texts(named.map(\.value))
        e.text("")
        e.uint(UInt64(processID))
        e.int(Int64(truncatingIfNeeded: processStart))
        e.uint(UInt64(tags.gpid))
        e.uint(UInt64(agentID))
        e.uint(UInt64(tags.regionID))
        e.uint(UInt64(tags.azID))
        e.uint(UInt64(tags.subnetID))
        e.int(Int64(tags.l3EpcID))
        e.uint(UInt64(tags.hostID))
        e.uint(UInt64(tags.podID))
        e.uint(UInt64(tags.podNodeID))
        e.uint(UInt64(tags.podNsID))
        e.uint(UInt64(tags.podClusterID))
        e.uint(UInt64(tags.podGroupID))
        e.uint(UInt64(tags.autoInstanceID))
        e.uint(UInt64(tags.autoInstanceType))
        e.uint(UInt64(tags.autoServiceID))
        e.uint(UInt64(tags.autoServiceType))
        e.uint(UInt64(tags.l3DeviceType))
        e.uint(UInt64(tags.l3DeviceID))
        e.uint(UInt64(tags.serviceID))
        e.uint(UInt64(teamID))
    }
}
