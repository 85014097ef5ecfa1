/// What a cell means; a theme says how that looks.
enum Style: UInt8, Sendable, CaseIterable {
    case plain
    case dim
    case strong
    case title
    case header
    case headerSorted
    case selected
    case bar
    case barStrong
    case barAlert
    case tab
    case tabActive
    case good
    case warn
    case bad
    case accent
    case key
    case input
    case error
    case chartTraffic
    case chartRequests
    case chartErrors
    case chartLatency
    case chartFlows
    case frame
}

/// A colour and its nearest of the 16 of old terminals.
struct Color: Sendable, Equatable {
    /// 0xRRGGBB.
    let rgb: UInt32
    let ansi: UInt8

    init(_ rgb: UInt32, _ ansi: UInt8) {
        self.rgb = rgb
        self.ansi = ansi
    }

    /// Nearest of the 256 of xterm: the 6x6x6 cube or the grey ramp.
    var xterm256: UInt8 {
        let channels = [16, 8, 0].map { Int(rgb >> UInt32($0) & 0xff) }
        let levels = [0, 95, 135, 175, 215, 255]
        let cube = channels.map { channel in
            levels.indices.min { abs(levels[$0] - channel) < abs(levels[$1] - channel) } ?? 0
        }
        let cubeDistance = zip(channels, cube).reduce(0) { $0 + ($1.0 - levels[$1.1]) * ($1.0 - levels[$1.1]) }
        let mean = channels.reduce(0, +) / 3
        let grey = min(23, max(0, (mean - 3) / 10))
        let level = 8 + grey * 10
        let greyDistance = channels.reduce(0) { $0 + ($1 - level) * ($1 - level) }
        if greyDistance < cubeDistance { return UInt8(232 + grey) }
        return UInt8(16 + cube[0] * 36 + cube[1] * 6 + cube[2])
    }
}

/// How a style is drawn; nil colours are those of the terminal.
struct Look: Sendable, Equatable {
    var foreground: Color?
    var background: Color?
    var isBold = false
    var isReversed = false
    var isUnderlined = false
    var isDim = false
}

/// A set of looks.
struct Theme: Sendable {
    let name: String
    let looks: @Sendable (Style) -> Look

    static let all = [dark, light, contrast]

    static func named(_ name: String) -> Theme? { all.first { $0.name == name } }

    private static let white = Color(0xe6e6e6, 15)
    private static let black = Color(0x101418, 0)

    static let dark = Theme(name: "dark") { style in
        let blue = Color(0x5fafff, 12)
        let green = Color(0x5fd787, 10)
        let yellow = Color(0xffd75f, 11)
        let red = Color(0xff5f5f, 9)
        let cyan = Color(0x5fd7d7, 14)
        let magenta = Color(0xd787ff, 13)
        let grey = Color(0x8a8a8a, 8)
        let barBack = Color(0x263238, 4)
        return switch style {
        case .plain: Look()
        case .dim: Look(foreground: grey)
        case .strong: Look(isBold: true)
        case .title: Look(foreground: cyan, isBold: true)
        case .header: Look(foreground: blue, isBold: true)
        case .headerSorted: Look(foreground: yellow, isBold: true, isUnderlined: true)
        case .selected: Look(foreground: Color(0xffffff, 15), background: Color(0x005f87, 6), isBold: true)
        case .bar, .tab: Look(foreground: white, background: barBack)
        case .barStrong: Look(foreground: yellow, background: barBack, isBold: true)
        case .barAlert: Look(foreground: Color(0xffffff, 15), background: Color(0xaf0000, 1), isBold: true)
        case .tabActive: Look(foreground: black, background: cyan, isBold: true)
        case .good: Look(foreground: green)
        case .warn: Look(foreground: yellow)
        case .bad: Look(foreground: red, isBold: true)
        case .accent: Look(foreground: cyan)
        case .key: Look(foreground: yellow, isBold: true)
        case .input: Look(foreground: Color(0xffffff, 15), isBold: true)
        case .error: Look(foreground: red, isBold: true)
        case .chartTraffic: Look(foreground: blue)
        case .chartRequests: Look(foreground: green)
        case .chartErrors: Look(foreground: red)
        case .chartLatency: Look(foreground: yellow)
        case .chartFlows: Look(foreground: magenta)
        case .frame: Look(foreground: Color(0x5f5f5f, 8))
        }
    }

    static let light = Theme(name: "light") { style in
        let blue = Color(0x005faf, 4)
        let green = Color(0x008700, 2)
        let brown = Color(0x875f00, 3)
        let red = Color(0xaf0000, 1)
        let teal = Color(0x008787, 6)
        let grey = Color(0x767676, 8)
        let barBack = Color(0xd0d7de, 7)
        return switch style {
        case .plain: Look()
        case .dim: Look(foreground: grey)
        case .strong: Look(isBold: true)
        case .title: Look(foreground: teal, isBold: true)
        case .header: Look(foreground: blue, isBold: true)
        case .headerSorted: Look(foreground: brown, isBold: true, isUnderlined: true)
        case .selected: Look(foreground: Color(0xffffff, 15), background: blue, isBold: true)
        case .bar, .tab: Look(foreground: black, background: barBack)
        case .barStrong: Look(foreground: red, background: barBack, isBold: true)
        case .barAlert: Look(foreground: Color(0xffffff, 15), background: red, isBold: true)
        case .tabActive: Look(foreground: Color(0xffffff, 15), background: teal, isBold: true)
        case .good: Look(foreground: green)
        case .warn: Look(foreground: brown)
        case .bad: Look(foreground: red, isBold: true)
        case .accent: Look(foreground: teal)
        case .key: Look(foreground: red, isBold: true)
        case .input: Look(isBold: true)
        case .error: Look(foreground: red, isBold: true)
        case .chartTraffic: Look(foreground: blue)
        case .chartRequests: Look(foreground: green)
        case .chartErrors: Look(foreground: red)
        case .chartLatency: Look(foreground: brown)
        case .chartFlows: Look(foreground: Color(0x8700af, 5))
        case .frame: Look(foreground: grey)
        }
    }

    /// Attributes only: no colours, for `NO_COLOR`, old terminals and eyes that want it.
    static let contrast = Theme(name: "plain") { style in
        switch style {
        case .plain, .good, .accent, .chartTraffic, .chartRequests, .chartErrors, .chartLatency, .chartFlows: Look()
        case .dim, .frame: Look(isDim: true)
        case .strong, .title, .warn, .bad, .key, .input, .header: Look(isBold: true)
        case .headerSorted: Look(isBold: true, isUnderlined: true)
        case .selected, .bar, .tab: Look(isReversed: true)
        case .barStrong, .barAlert: Look(isBold: true, isReversed: true)
        case .tabActive: Look(isBold: true, isUnderlined: true)
        case .error: Look(isBold: true, isReversed: true)
        }
    }
}
