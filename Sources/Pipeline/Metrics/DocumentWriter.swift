import Model

/// Writes the documents of one slot from its quadruples.
struct DocumentWriter {
    let slot: UnsafeMutablePointer<QuadrupleSlot>
    let flags: UInt32
    let rules: TagRules

    @inline(__always)
    func key(_ reference: DocumentPlan.Reference) -> DocumentKey { DocumentKey(tag(reference), AppFacts()) }

    @inline(__always)
    func write(_ item: DocumentPlan.Item, _ plan: borrowing DocumentPlan, _ document: UnsafeMutablePointer<Document>) {
        document.pointee.flags = flags
        document.pointee.timestamp = slot.pointee.startSeconds
        tag(item.first).write(to: document.pointer(to: \.tag).unsafelyUnwrapped, AppFacts(), rules)
        let view = slot.pointee.view(item.first.position)
        let meter = DocumentOutlet.flowMeter(of: document)
        view.add(to: meter, swapped: isSwapped(item.first))
        meter.pointee.load = UInt64(view.entry.pointee.load)
        if item.firstMerge != DocumentPlan.none { addMerges(item, plan, to: meter) }
    }

    /// Adds what follows the first quadruple, with the load by the rule for merges. Source: agent-flow.md 13.5.
    @inline(never)
    private func addMerges(
        _ item: DocumentPlan.Item, _ plan: borrowing DocumentPlan, to meter: UnsafeMutablePointer<FlowMeter>
    ) {
        var flowCount = UInt64(slot.pointee.entries[item.first.position].pointee.flowCount)
        var number = item.firstMerge
        while number != DocumentPlan.none {
            let merge = plan.merge(number)
            let view = slot.pointee.view(merge.reference.position)
            let closed = UInt64(view.entry.pointee.closedFlow)
            let load = flowCount &+ UInt64(view.entry.pointee.newFlow)
            flowCount = load > closed ? load &- closed : 0
            view.add(to: meter, swapped: isSwapped(merge.reference))
            meter.pointee.load = load
            number = merge.next
        }
    }

    /// A single document of the server's end sees the traffic the other way round.
    @inline(__always)
    private func isSwapped(_ reference: DocumentPlan.Reference) -> Bool {
        reference.isSingle && slot.pointee.entries[reference.position].pointee.flow.srcDirection == 0
    }

    @inline(__always)
    private func tag(_ reference: DocumentPlan.Reference) -> DocumentTag {
        let entry = slot.pointee.entries[reference.position]
        let flow = UnsafePointer(entry.pointer(to: \.flow).unsafelyUnwrapped)
        let isActiveSrc = entry.pointee.isActiveSrc
        let isActiveDst = entry.pointee.isActiveDst
        if reference.isSingle {
            let end: FlowEnd = flow.pointee.srcDirection != 0 ? .src : .dst
            return DocumentTag.single(
                flow, end, isActive: end == .src ? isActiveSrc : isActiveDst, isReversed: false, rules)
        }
        return DocumentTag.edge(
            flow, direction: DocumentTag.edgeDirection(flow), isActiveSrc: isActiveSrc, isActiveDst: isActiveDst,
            isReversed: false, rules)
    }
}
