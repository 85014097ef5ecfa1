package import Model

/// A row of one of the event tables, which share their first columns. Source: ingester.md 6.4 and the tables' columns.
package struct EventRow: StoredRow {
    /// Columns of one table only.
    package enum Detail: Sendable {
        case none
        case file(File)
        case fileAggregate(File, rootPID: UInt32, count: UInt32)
        case fileManagement(File, rootPID: UInt32, uid: UInt32, gid: UInt32, mode: UInt32)
        case permission(pid: UInt32, rootPID: UInt32, old: (UInt32, UInt32), new: (UInt32, UInt32), Thread)
        case process(
            pid: UInt32, parentPID: UInt32, rootPID: UInt32, uid: UInt32, gid: UInt32, commandLine: String,
            executable: String, Thread)
    }

    package struct Thread: Sendable, Equatable {
        package var id: UInt32 = 0
        package var coroutine: UInt32 = 0
    }

    package struct File: Sendable, Hashable {
        package var bytes: UInt32 = 0
        package var duration: UInt64 = 0
        package var name = ""
        package var type: UInt8 = 0
        package var offset: UInt64 = 0
        package var thread: UInt32 = 0
        package var coroutine: UInt32 = 0
        package var mountSource = ""
        package var mountPoint = ""
        package var directory = ""
        package var accessPermission: UInt32 = 0
    }

    package var id: UInt64 = 0
    package var startUs: UInt64 = 0
    package var endUs: UInt64 = 0
    package var signalSource: UInt8 = 0
    package var type = ""
    package var description = ""
    package var processName = ""
    package var side = OwnSide()
    package var agentID: UInt16 = 0
    package var teamID: UInt16 = 0
    package var appInstance = ""
    package var attributes: [(name: String, value: String)] = []
    package var detail = Detail.none

    package var seconds: UInt64 { startUs / 1_000_000 }
    package var isIPv6: Bool { side.isIPv6 }

    @_specialize(where Encoder == CSVRowPrinter)
    @_specialize(where Encoder == JSONRowPrinter)
    @_specialize(where Encoder == RowFields)
    package func encode<Encoder: RowEncoder>(into e: inout Encoder) {
        let tags = side.tags
        e.time(seconds: seconds)
        e.uint(id)
        e.time(micros: startUs)
        e.time(micros: endUs)
        // Resource events alone are told with tags or without.
        e.uint(0)
        e.uint(UInt64(signalSource))
        e.text(type)
        e.text(description)
        e.text(processName)
        e.uint(UInt64(tags.gpid))
        e.uint(UInt64(tags.regionID))
        e.uint(UInt64(tags.azID))
        e.int(Int64(tags.l3EpcID))
        e.uint(UInt64(tags.hostID))
        e.uint(UInt64(tags.podID))
        e.uint(UInt64(tags.podNodeID))
        e.uint(UInt64(tags.podNsID))
        e.uint(UInt64(tags.podClusterID))
        e.uint(UInt64(tags.podGroupID))
        e.uint(UInt64(tags.l3DeviceType))
        e.uint(UInt64(tags.l3DeviceID))
        e.uint(UInt64(tags.serviceID))
        e.uint(UInt64(agentID))
        e.uint(UInt64(tags.subnetID))
        e.uint(side.isIPv4 ? 1 : 0)
        e.ip4(side.isIPv6 ? 0 : side.address.v4)
        e.ip6(side.isIPv6 ? side.address : IPAddress())
        e.uint(UInt64(teamID))
        e.uint(UInt64(tags.autoInstanceID))
        e.uint(UInt64(tags.autoInstanceType))
        e.uint(UInt64(tags.autoServiceID))
        e.uint(UInt64(tags.autoServiceType))
        e.text(appInstance)
        e.texts(attributes.map(\.name))
        e.texts(attributes.map(\.value))
        encodeDetail(into: &e)
    }

    private func encodeDetail<Encoder: RowEncoder>(into e: inout Encoder) {
        switch detail {
        case .none: break
        case .file(let file): encode(file, into: &e)
        case .fileAggregate(let file, let rootPID, let count):
            encode(file, into: &e)
            e.uint(UInt64(rootPID))
            e.uint(UInt64(count))
        case .fileManagement(let file, let rootPID, let uid, let gid, let mode):
            encode(file, into: &e)
            e.uint(UInt64(rootPID))
            e.uint(UInt64(uid))
            e.uint(UInt64(gid))
            e.uint(UInt64(mode))
        case .permission(let pid, let rootPID, let old, let new, let thread):
            for number in [pid, rootPID, old.0, old.1, new.0, new.1, thread.id, thread.coroutine] {
                e.uint(UInt64(number))
            }
        case .process(let pid, let parent, let root, let uid, let gid, let commandLine, let executable, let thread):
            for number in [pid, parent, root, uid, gid] { e.uint(UInt64(number)) }
            e.text(commandLine)
            e.text(executable)
            e.uint(UInt64(thread.id))
            e.uint(UInt64(thread.coroutine))
        }
    }

    private func encode<Encoder: RowEncoder>(_ file: File, into e: inout Encoder) {
        e.uint(UInt64(file.bytes))
        e.uint(file.duration)
        e.text(file.name)
        e.uint(UInt64(file.type))
        e.uint(file.offset)
        e.uint(UInt64(file.thread))
        e.uint(UInt64(file.coroutine))
        e.text(file.mountSource)
        e.text(file.mountPoint)
        e.text(file.directory)
        e.uint(UInt64(file.accessPermission))
    }
}
