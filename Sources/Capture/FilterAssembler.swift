import CLinux

/// Puts a classic BPF program together; jumps name labels, forward only, at most 255 instructions away.
struct FilterAssembler {
    struct Label {
        fileprivate let number: Int
    }

    private struct Jump {
        let at: Int
        let ifTrue: Int?
        let ifFalse: Int?
    }

    private var instructions: [dft_insn] = []
    private var jumps: [Jump] = []
    /// Where labels stand; -1 = nowhere yet.
    private var places: [Int] = []

    mutating func label() -> Label {
        places.append(-1)
        return Label(number: places.count - 1)
    }

    /// The next instruction has this label.
    mutating func place(_ label: Label) { places[label.number] = instructions.count }

    mutating func loadInterface() { emit(0x20, 0xffff_f008) }
    mutating func loadPacketType() { emit(0x20, 0xffff_f004) }
    mutating func loadHalf(_ offset: UInt32) { emit(0x28, offset) }
    mutating func loadWord(indexed offset: UInt32) { emit(0x40, offset) }
    mutating func loadHalf(indexed offset: UInt32) { emit(0x48, offset) }
    mutating func loadByte(indexed offset: UInt32) { emit(0x50, offset) }
    mutating func loadIndex(_ value: UInt32) { emit(0x01, value) }
    mutating func and(_ value: UInt32) { emit(0x54, value) }
    mutating func ret(_ value: UInt32) { emit(0x06, value) }

    mutating func jump(ifEqual value: UInt32, to label: Label, otherwise: Label? = nil) {
        jumps.append(Jump(at: instructions.count, ifTrue: label.number, ifFalse: otherwise?.number))
        emit(0x15, value)
    }

    mutating func jump(unlessEqual value: UInt32, to label: Label) {
        jumps.append(Jump(at: instructions.count, ifTrue: nil, ifFalse: label.number))
        emit(0x15, value)
    }

    private mutating func emit(_ code: UInt16, _ k: UInt32) {
        instructions.append(dft_insn(code: code, jt: 0, jf: 0, k: k))
    }

    /// The program with its jumps. Every label that is jumped to must have been placed.
    consuming func finish() -> [dft_insn] {
        var out = instructions
        for jump in jumps {
            if let target = jump.ifTrue { out[jump.at].jt = distance(from: jump.at, to: target) }
            if let target = jump.ifFalse { out[jump.at].jf = distance(from: jump.at, to: target) }
        }
        return out
    }

    private func distance(from: Int, to label: Int) -> UInt8 {
        let distance = places[label] - from - 1
        precondition((0...255).contains(distance), "a label is out of reach or nowhere")
        return UInt8(distance)
    }
}
