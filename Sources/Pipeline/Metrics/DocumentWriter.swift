import Model

/// Writes the documents of one slot from its quadruples.
struct DocumentWriter {
    /// Of a quadruple, once its slot is complete.
    struct Load: BitwiseCopyable {
        var load: UInt32 = 0
        /// What the load of the next one starts from, when documents merge.
        var flowCount: UInt32 = 0
    }

    let slot: UnsafeMutablePointer<QuadrupleSlot>
    let flags: UInt32
    let rules: TagRules

    @inline(__always)
    func key(_ reference: DocumentPlan.Reference) -> DocumentKey { DocumentKey(tag(reference), AppFacts()) }

    /// - Parameter load: of the quadruple.
    @inline(__always)
    func write(_ reference: DocumentPlan.Reference, load: Load, _ document: UnsafeMutablePointer<Document>) {
        document.pointee.flags = flags
        document.pointee.timestamp = slot.pointee.startSeconds
        tag(reference).write(to: document.pointer(to: \.tag).unsafelyUnwrapped, AppFacts(), rules)
        let view = slot.pointee.view(reference.position)
        let meter = DocumentOutlet.flowMeter(of: document)
        view.add(to: meter, swapped: isSwapped(reference))
        meter.pointee.load = UInt64(load.load)
    }

    /// As above with what merges into the document, by the rule of loads for merges. Source: agent-flow.md 13.5.
    @inline(__always)
    func write(_ item: DocumentPlan.Item, _ plan: borrowing DocumentPlan, _ document: UnsafeMutablePointer<Document>) {
        write(item.first, load: plan.load(item.first.position), document)
        if item.firstMerge != DocumentPlan.none { addMerges(item, plan, document) }
    }

    @inline(never)
    private func addMerges(
        _ item: DocumentPlan.Item, _ plan: borrowing DocumentPlan, _ document: UnsafeMutablePointer<Document>
    ) {
        let meter = DocumentOutlet.flowMeter(of: document)
        var flowCount = UInt64(plan.load(item.first.position).flowCount)
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

    @inline(__always)
    func isActive(_ flow: UnsafePointer<FlowFacts>, _ end: FlowEnd) -> Bool {
        rules.isActive(flow, end) && flow.pointee.signalSource != Raw.ebpf
    }

    /// A single document of the server's end sees the traffic the other way round.
    @inline(__always)
    private func isSwapped(_ reference: DocumentPlan.Reference) -> Bool {
        reference.isSingle && slot.pointee.entries[reference.position].pointee.flow.srcDirection == 0
    }

    @inline(__always)
    private func tag(_ reference: DocumentPlan.Reference) -> DocumentTag {
        let entry = UnsafePointer(slot.pointee.entries[reference.position])
        let flow = entry.pointer(to: \.flow).unsafelyUnwrapped
        let ends = slot.pointee.ends(of: entry)
        let (isActiveSrc, isActiveDst) = (isActive(flow, .src), isActive(flow, .dst))
        if reference.isSingle {
            let end: FlowEnd = flow.pointee.srcDirection != 0 ? .src : .dst
            return DocumentTag.single(
                flow, ends, end, isActive: end == .src ? isActiveSrc : isActiveDst, isReversed: false, portSrc: 0,
                rules)
        }
        return DocumentTag.edge(
            flow, ends, isActiveSrc: isActiveSrc, isActiveDst: isActiveDst, isReversed: false, portSrc: 0, rules)
    }
}
