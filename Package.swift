// swift-tools-version: 6.2
import PackageDescription

/// Settings of every Swift target of ours: language mode 6 comes with the tools version.
let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

/// The per-packet modules: exclusivity is proven by the checked debug and test builds; the run-time check costs a
/// quarter of the packet budget in release builds.
let hot: [SwiftSetting] =
    strict + [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]

let package = Package(
    name: "dftop",
    products: [
        .executable(name: "dftop", targets: ["dftop"]),
        .executable(name: "dfctl", targets: ["dfctl"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // The only doors to C.
        .systemLibrary(
            name: "CPcap", path: "Sources/CInterop/CPcap", pkgConfig: "libpcap", providers: [.apt(["libpcap-dev"])]),
        .systemLibrary(name: "CNcurses", path: "Sources/CInterop/CNcurses", providers: [.apt(["libncurses-dev"])]),
        .systemLibrary(
            name: "CSQLite", path: "Sources/CInterop/CSQLite", pkgConfig: "sqlite3",
            providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(
            name: "CZstd", path: "Sources/CInterop/CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(
            name: "CZlib", path: "Sources/CInterop/CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CSnappy", path: "Sources/CInterop/CSnappy", providers: [.apt(["libsnappy-dev"])]),
        .systemLibrary(
            name: "CProtobufC", path: "Sources/CInterop/CProtobufC", pkgConfig: "libprotobuf-c",
            providers: [.apt(["libprotobuf-c-dev"])]),
        .target(name: "CLinux", path: "Sources/CInterop/CLinux"),
        .target(name: "CWire", dependencies: ["CProtobufC"], path: "Sources/CInterop/CWire", exclude: ["proto"]),

        .target(name: "Model", swiftSettings: hot),
        .target(
            name: "Wire", dependencies: ["Model", "CWire", "CProtobufC", "CZstd", "CZlib", "CSnappy"],
            swiftSettings: hot),
        .target(name: "Capture", dependencies: ["Model", "CPcap", "CLinux"], swiftSettings: hot),
        .target(
            name: "Pipeline",
            dependencies: [
                "Model", "Wire", "Capture", "CLinux", "CZlib", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: hot),
        .target(
            name: "ServerCore",
            dependencies: [
                "Model", "Wire", "EngineAPI", "CSQLite", "CLinux", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: hot),
        .target(name: "EngineAPI", dependencies: ["Model", "CLinux"], swiftSettings: strict),
        .target(name: "TUI", dependencies: ["Model", "EngineAPI", "CNcurses"], swiftSettings: strict),
        .executableTarget(
            name: "dfctl",
            dependencies: ["Model", "EngineAPI", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            swiftSettings: strict),
        .executableTarget(
            name: "dftop",
            dependencies: [
                "Model", "Wire", "Capture", "Pipeline", "ServerCore", "EngineAPI", "TUI", "CLinux",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                "Yams",
            ],
            swiftSettings: hot),
        .executableTarget(
            name: "trafficgen", dependencies: [.product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Benchmarks/TrafficGenerator", swiftSettings: strict),
        .executableTarget(
            name: "storebench",
            dependencies: ["ServerCore", "Model", "Samples", .product(name: "Logging", package: "swift-log")],
            path: "Benchmarks/Store", swiftSettings: hot),
        .executableTarget(
            name: "wirebench", dependencies: ["Wire", "Model"], path: "Benchmarks/Wire", swiftSettings: hot),

        .executableTarget(
            name: "metrics-bench", dependencies: ["Pipeline", "Model"], path: "Benchmarks/MetricsStages",
            swiftSettings: hot),

        .target(name: "Samples", dependencies: ["Model"], path: "Tests/Samples", swiftSettings: strict),
        .testTarget(name: "ModelTests", dependencies: ["Model"], swiftSettings: strict),
        .testTarget(
            name: "WireTests",
            dependencies: ["Wire", "Model", "Pipeline", "ServerCore", .product(name: "Logging", package: "swift-log")],
            swiftSettings: strict),
        .testTarget(name: "CaptureTests", dependencies: ["Capture", "Model", "CLinux"], swiftSettings: strict),
        .testTarget(
            name: "PipelineTests", dependencies: ["Pipeline", "Capture", "Wire", "Model", "Samples"],
            swiftSettings: strict),
        .executableTarget(
            name: "fuzz", dependencies: ["Pipeline", "Wire", "Model", "Samples"], path: "Tests/Fuzz",
            swiftSettings: strict),
        .testTarget(
            name: "ServerCoreTests", dependencies: ["ServerCore", "Wire", "EngineAPI", "Model", "Samples"],
            swiftSettings: strict),
        .testTarget(name: "EngineAPITests", dependencies: ["EngineAPI", "Model"], swiftSettings: strict),
        .testTarget(name: "TUITests", dependencies: ["TUI", "EngineAPI", "Model"], swiftSettings: strict),
    ]
)
