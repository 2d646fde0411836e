//! Every shader without a GPU: the text of each kernel that any plan asks for is parsed, validated,
//! held against what its launch declares, and translated for Vulkan, Metal and Direct3D.

use crate::need::trials;
use naga::valid::{Capabilities, ModuleInfo, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};
use naga::{
    AddressSpace, ImageClass, ImageDimension, Module, Scalar, ScalarKind, StorageAccess, StorageFormat, TypeInner,
};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::process::Command;
use std::sync::OnceLock;
use tilewright::check;
use tilewright::graph::{Graph, Op};
use tilewright::kernel::{
    ARGUMENT_BYTES, Access, BindingFault, Condition, Constant, Content, DeviceClass, DeviceProfile, Kernel, Launch,
    MatrixUnits, Operand, Shader, Storage, Unsupported, read, write,
};
use tilewright::models::{self, ModelOptions};
use tilewright::nn::Mode;
use tilewright::ops::Linear;
use tilewright::plan::{Plan, PlanError, PlannedBinding, PlannedDispatch};
use tilewright::recipe::{Precision, TrainConfig};
use tilewright::shader;
use tilewright::tensor::{ElementType, HostTensor, TensorSpec};
use tilewright::train::{Batch, evaluation_graph, training_graph};

trials! {
    Nothing:
        every_kernel_is_valid_and_binds_what_its_launch_declares_within_the_limits,
        every_form_of_a_shader_translates_for_vulkan_metal_and_direct3d,
        every_shader_file_is_part_of_some_kernel,
        matrix_units_are_used_only_where_f16_is_asked_for,
        a_device_that_ends_long_loops_is_not_given_one,
        no_comment_of_a_shader_reaches_a_kernel,
        a_missing_constant_is_told_with_the_shader,
        no_shader_numbers_a_binding,
        a_launch_binds_what_its_shader_declares_or_there_is_no_plan;
    SpirvVal: every_form_of_a_shader_is_valid_in_spirv;
    SpirvValOfMatrices: every_form_of_a_shader_on_matrix_units_is_valid_in_spirv;
}

/// A dispatch of a plan, where it came from, and the text its kernel becomes once it is asked for.
struct Planned {
    from: String,
    profile: DeviceProfile,
    dispatch: PlannedDispatch,
    text: OnceLock<String>,
}

impl Planned {
    fn text(&self) -> &str {
        let compile =
            || shader::compile(&self.dispatch.kernel).unwrap_or_else(|error| panic!("{}: {error}", self.from));
        self.text.get_or_init(compile)
    }
}

fn profiles() -> Vec<(&'static str, DeviceProfile)> {
    let least = DeviceProfile::webgpu_defaults;
    let large = |class| {
        let mut profile = least(class);
        (profile.max_binding_bytes, profile.max_storage_buffers) = ((2 << 30) - 4, 32);
        (profile.max_invocations, profile.workgroup_memory) = (1024, 48 << 10);
        profile.max_texture_size = 32_768;
        profile
    };
    let mut plain = least(DeviceClass::Gpu);
    plain.plain_kernels = true;
    vec![
        ("GPU, WebGPU's defaults", least(DeviceClass::Gpu)),
        ("CPU, WebGPU's defaults", least(DeviceClass::Cpu)),
        ("plain kernels", plain),
        ("GPU, large limits", large(DeviceClass::Gpu)),
        ("CPU, large limits", large(DeviceClass::Cpu)),
    ]
}

/// Devices for what is stored in f16.
fn half_profiles() -> Vec<(&'static str, DeviceProfile)> {
    let half = |mut profile: DeviceProfile| {
        profile.half = true;
        profile
    };
    let matrix = |edge, [smallest_subgroup, largest_subgroup]: [u32; 2], profile: DeviceProfile| {
        with_units(profile, MatrixUnits { edge, smallest_subgroup, largest_subgroup, emulated: false })
    };
    let [gpu, cpu, plain, large_gpu, _] = profiles().try_into().unwrap_or_else(|_| panic!("five devices"));
    vec![
        ("GPU with f16", half(gpu.1.clone())),
        ("CPU with f16", half(cpu.1)),
        ("plain kernels with f16", half(plain.1)),
        ("matrix units of 16x16", matrix(16, [32, 64], large_gpu.1)),
        ("matrix units of 8x8", matrix(8, [32, 32], gpu.1)),
    ]
}

/// A device with another rule of tiles, for which only the cases are planned: of its kernels those have all.
fn few_registers() -> (&'static str, DeviceProfile) {
    let mut profile = DeviceProfile::webgpu_defaults(DeviceClass::Gpu);
    profile.few_registers = true;
    ("GPU, few registers", profile)
}

fn emulated() -> (&'static str, DeviceProfile) {
    let mut profile = with_units(DeviceProfile::webgpu_defaults(DeviceClass::Gpu), MatrixUnits::EMULATED);
    profile.max_invocations = 1024;
    ("emulated matrix units", profile)
}

fn with_units(mut profile: DeviceProfile, units: MatrixUnits) -> DeviceProfile {
    (profile.half, profile.matrix_units) = (true, Some(units));
    profile
}

/// A graph, where it is from, and the devices that it is planned for.
type Wanted = (String, Graph, Vec<(&'static str, DeviceProfile)>);

/// The cases of `tilewright check`, which between them use every op.
fn case_graphs() -> Vec<Wanted> {
    let exact: Vec<_> = profiles().into_iter().chain([few_registers()]).collect();
    let (without_units, with_units): (Vec<_>, Vec<_>) =
        half_profiles().into_iter().partition(|(_, profile)| profile.matrix_units.is_none());
    // Emulated matrix units run no model.
    let with_units: Vec<_> = with_units.into_iter().chain([emulated()]).collect();
    let graphs = |case: &check::Case| {
        let graph = case.graph().unwrap_or_else(|error| panic!("{}, {}: {error}", case.op, case.what));
        let what = format!("{}, {}", case.op, case.what);
        let [all, inputs] = [graph.all_in_half(), graph.inputs_in_half()];
        [
            (what.clone(), graph, exact.clone()),
            (format!("{what}, in f16"), all, without_units.clone()),
            (format!("{what}, of f16"), inputs, with_units.clone()),
        ]
    };
    check::cases().iter().flat_map(graphs).collect()
}

/// Steps of every model.
fn model_graphs() -> Vec<Wanted> {
    let mut graphs = Vec::new();
    for model in models::all() {
        let input = model.input(&ModelOptions::new()).unwrap();
        let shape = [2, input[0], input[1], input[2]];
        let config = TrainConfig { model: model.name.to_owned(), ..TrainConfig::default() };
        let batch = Batch { shape, classes: model.num_classes };
        let (training, _) = training_graph(&config, batch).unwrap_or_else(|error| panic!("{}: {error}", model.name));
        graphs.push((format!("training {}", model.name), training, profiles()));
        let halved = TrainConfig { precision: Precision::F16, ..config.clone() };
        let (training, _) = training_graph(&halved, batch).unwrap_or_else(|error| panic!("{}: {error}", model.name));
        graphs.push((format!("training {} in f16", model.name), training, half_profiles()));
        let inference = evaluation_graph(&config, batch).unwrap_or_else(|error| panic!("{}: {error}", model.name));
        graphs.push((format!("inference of {}", model.name), inference, profiles()));
    }
    graphs
}

/// Every distinct kernel of every plan, with the first dispatch that asked for it. The tests that use them run in processes
/// of their own: each pays for the plans, and for the texts that it looks at.
fn planned() -> &'static [Planned] {
    static PLANNED: OnceLock<Vec<Planned>> = OnceLock::new();
    PLANNED.get_or_init(|| {
        let (mut planned, mut met) = (Vec::new(), HashSet::new());
        for (from, graph, profiles) in case_graphs().into_iter().chain(model_graphs()) {
            for (name, profile) in profiles {
                let plan = match Plan::new(&graph, &profile) {
                    Ok(plan) => plan,
                    // Some cases are too large for the least of devices.
                    Err(PlanError::TensorTooLarge { .. }) => continue,
                    Err(error) => panic!("{from}, {name}: {error}"),
                };
                for dispatch in plan.steps {
                    check_dispatch(&format!("{from}, {name}"), &dispatch, &profile);
                    let key = format!("{:?} {:?}", dispatch.kernel.form(), kinds(&dispatch.bindings));
                    if met.insert(key) {
                        let (from, profile) = (format!("{from}, {name}"), profile.clone());
                        planned.push(Planned { from, profile, dispatch, text: OnceLock::new() });
                    }
                }
            }
        }
        println!("{} distinct kernels", planned.len());
        planned
    })
}

/// What a dispatch asks of the device, whatever its shader does.
fn check_dispatch(from: &str, dispatch: &PlannedDispatch, profile: &DeviceProfile) {
    assert!(profile.half || dispatch.kernel.halves.is_empty(), "{from}: f16 on a device without");
    let at = || format!("{from}: {}", dispatch.kernel.shader.name);
    let grid = dispatch.workgroups;
    assert!(grid.iter().all(|&size| size > 0 && size <= profile.max_workgroups), "{}: grid {grid:?}", at());
    let mut access: HashMap<usize, Access> = HashMap::new();
    let mut buffers = 0;
    for binding in &dispatch.bindings {
        let PlannedBinding::Buffer { region, offset, bytes, access: new } = *binding else { continue };
        buffers += 1;
        assert!(bytes > 0 && bytes % 4 == 0, "{}: a binding of {bytes} bytes", at());
        assert!(offset % profile.binding_alignment == 0, "{}: a binding at byte {offset}", at());
        assert!(bytes <= profile.max_binding_bytes, "{}: a binding of {bytes} bytes", at());
        let before = *access.entry(region).or_insert(new);
        assert!(before == new, "{}: one dispatch reads and writes one buffer", at());
    }
    // Eight is what WebGPU promises; a kernel that needs more would shut devices out.
    assert!(buffers <= 8 && buffers <= profile.max_storage_buffers, "{}: {buffers} storage buffers", at());
}

/// What a binding is: a texture or a buffer, read or written.
type Kind = (bool, Access);

fn kinds(bindings: &[PlannedBinding]) -> Vec<Kind> {
    let kind = |binding: &PlannedBinding| match *binding {
        PlannedBinding::Buffer { access, .. } => (false, access),
        PlannedBinding::Texture { access, .. } => (true, access),
    };
    bindings.iter().map(kind).collect()
}

/// What a kernel may ask of a device beyond WebGPU: nothing, but for those on matrix units, and those of what is stored in
/// f16.
fn capabilities(kernel: &Kernel) -> Capabilities {
    match (kernel.shader.name, kernel.conditions.contains(&"emulated")) {
        ("conv/cooperative_tile", true) => Capabilities::SHADER_FLOAT16,
        ("conv/cooperative_tile", false) => {
            Capabilities::SHADER_FLOAT16 | Capabilities::SUBGROUP | Capabilities::COOPERATIVE_MATRIX
        }
        _ if kernel.halves.is_empty() => Capabilities::empty(),
        _ => Capabilities::SHADER_FLOAT16,
    }
}

fn parse(planned: &Planned) -> (Module, ModuleInfo) {
    let name = planned.dispatch.kernel.shader.name;
    let text = planned.text();
    let module = naga::front::wgsl::parse_str(text)
        .unwrap_or_else(|error| panic!("{name} ({}):\n{}", planned.from, error.emit_to_string(text)));
    let info = Validator::new(ValidationFlags::all(), capabilities(&planned.dispatch.kernel))
        .subgroup_stages(ShaderStages::COMPUTE)
        .subgroup_operations(SubgroupOperationSet::BASIC)
        .validate(&module)
        .unwrap_or_else(|error| panic!("{name} ({}):\n{}", planned.from, error.emit_to_string(text)));
    (module, info)
}

fn access_of(access: StorageAccess) -> Access {
    if access.contains(StorageAccess::STORE) { Access::Write } else { Access::Read }
}

/// Name, access and content of each binding, by its number.
type Bindings = BTreeMap<u32, (String, Access, Content)>;

/// What naga finds in the text; what the shader does not use is not in it.
fn reflected(module: &Module) -> Bindings {
    let mut bindings = BTreeMap::new();
    for (_, variable) in module.global_variables.iter() {
        let Some(binding) = variable.binding.as_ref().filter(|_| variable.space != AddressSpace::Uniform) else {
            continue;
        };
        assert_eq!(binding.group, 0, "all bindings are in one group");
        let (access, content) = match (variable.space, &module.types[variable.ty].inner) {
            (AddressSpace::Storage { access }, TypeInner::Array { base, .. }) => {
                (access_of(access), numbers(&module.types[*base].inner))
            }
            (
                _,
                TypeInner::Image {
                    dim: ImageDimension::D2,
                    arrayed: false,
                    class: ImageClass::Storage { access, format: StorageFormat::Rgba32Float },
                },
            ) => (access_of(*access), Content::Texture),
            (space, inner) => panic!("a binding in {space:?}: {inner:?}"),
        };
        bindings.insert(binding.binding, (variable.name.clone().unwrap_or_default(), access, content));
    }
    bindings
}

fn numbers(element: &TypeInner) -> Content {
    let (scalar, lanes) = match *element {
        TypeInner::Scalar(scalar) => (scalar, 1),
        TypeInner::Vector { size, scalar } => (scalar, size as usize),
        ref other => panic!("an array of {other:?}"),
    };
    let element = match scalar {
        Scalar { kind: ScalarKind::Float, width: 4 } => ElementType::F32,
        Scalar { kind: ScalarKind::Float, width: 2 } => ElementType::F16,
        Scalar { kind: ScalarKind::Uint, width: 4 } => ElementType::U32,
        other => panic!("an array of {other:?}"),
    };
    Content::Buffer { element, lanes }
}

/// What the kernel's declaration says.
fn declared(kernel: &Kernel) -> Bindings {
    let binding = |binding: tilewright::kernel::Binding| (binding.name.to_owned(), binding.access, binding.content);
    (0..).zip(kernel.bindings().map(binding)).collect()
}

/// Members and size of the uniform that holds a kernel's arguments.
fn declared_arguments(module: &Module) -> Option<(Vec<(String, u32)>, u32)> {
    let (_, variable) = module.global_variables.iter().find(|(_, variable)| variable.space == AddressSpace::Uniform)?;
    assert_eq!(variable.binding, Some(naga::ResourceBinding { group: 1, binding: 0 }), "where arguments are bound");
    let TypeInner::Struct { members, span } = &module.types[variable.ty].inner else {
        panic!("arguments are a struct")
    };
    let member = |member: &naga::StructMember| (member.name.clone().unwrap_or_default(), member.offset);
    Some((members.iter().map(member).collect(), *span))
}

/// Where the Rust side puts each argument of a kernel, and how long they are together.
fn given_arguments(kernel: &Kernel) -> (Vec<(String, u32)>, u32) {
    let mut end = 0;
    let mut members = Vec::new();
    for (name, value) in &kernel.arguments {
        members.push(((*name).to_owned(), end));
        end += size_of_val(&value.word()) as u32;
    }
    (members, end)
}

fn workgroup_memory(module: &Module) -> u32 {
    let variables = module.global_variables.iter().filter(|(_, variable)| variable.space == AddressSpace::WorkGroup);
    variables.map(|(_, variable)| module.types[variable.ty].inner.size(module.to_ctx()).next_multiple_of(16)).sum()
}

fn every_kernel_is_valid_and_binds_what_its_launch_declares_within_the_limits() {
    planned().par_iter().for_each(|planned| {
        let (module, _) = parse(planned);
        let at = format!("{} ({})", planned.dispatch.kernel.shader.name, planned.from);
        let declared = declared(&planned.dispatch.kernel);
        assert_eq!(reflected(&module), declared, "{at}: bindings used, and declared\n{}", planned.text());
        let kinds_declared: Vec<Kind> =
            declared.values().map(|&(_, access, content)| (content == Content::Texture, access)).collect();
        assert_eq!(kinds(&planned.dispatch.bindings), kinds_declared, "{at}: bindings planned, and declared");

        if let Some(arguments) = declared_arguments(&module) {
            assert_eq!(arguments, given_arguments(&planned.dispatch.kernel), "{at}: arguments");
            assert!(arguments.1 <= ARGUMENT_BYTES, "{at}: {} bytes of arguments", arguments.1);
            assert!(planned.dispatch.arguments.is_some(), "{at}: the dispatch binds its arguments");
        }
        let [entry] = &module.entry_points[..] else { panic!("{at}: one entry point a shader") };
        assert_eq!(entry.name, shader::ENTRY_POINT, "{at}");
        let invocations: u32 = entry.workgroup_size.iter().product();
        let most = planned.profile.max_invocations;
        assert!((1..=most).contains(&invocations), "{at}: {invocations} invocations per workgroup");
        let bytes = workgroup_memory(&module);
        assert!(bytes <= planned.profile.workgroup_memory, "{at}: {bytes} bytes of workgroup memory");
    });
}

/// One kernel for each shader, operands and conditions: what the translators see differently.
fn one_of_each_form() -> Vec<&'static Planned> {
    let mut met = HashSet::new();
    let is_new = |planned: &&Planned| {
        let Kernel { shader, operands, conditions, halves, .. } = &planned.dispatch.kernel;
        met.insert(format!("{shader:?} {operands:?} {conditions:?} {halves:?}"))
    };
    planned().iter().filter(is_new).collect()
}

/// The form in SPIR-V, as wgpu writes it.
fn spirv(planned: &Planned) -> Vec<u32> {
    let (module, info) = parse(planned);
    let mut options = naga::back::spv::Options::default();
    if on_matrix_units(planned) {
        // What wgpu takes on Vulkan 1.3, before which no driver has matrices.
        options.lang_version = (1, 6);
    }
    naga::back::spv::write_vec(&module, &info, &options, None)
        .unwrap_or_else(|error| panic!("{}, SPIR-V: {error}", told(planned)))
}

fn on_matrix_units(planned: &Planned) -> bool {
    capabilities(&planned.dispatch.kernel).contains(Capabilities::COOPERATIVE_MATRIX)
}

fn told(planned: &Planned) -> String {
    format!("{} ({})", planned.dispatch.kernel.shader.name, planned.from)
}

fn no_shader_numbers_a_binding() {
    for (name, text) in shader::SOURCES {
        assert!(!text.contains("@group") && !text.contains("@binding"), "shaders/{name}.wgsl");
    }
}

fn every_form_of_a_shader_translates_for_vulkan_metal_and_direct3d() {
    one_of_each_form().par_iter().for_each(|planned| {
        spirv(planned);
        let ((module, info), at) = (parse(planned), told(planned));
        let mut metal = naga::back::msl::Options { lang_version: (2, 4), ..Default::default() };
        metal.fake_missing_bindings = true;
        naga::back::msl::write_string(&module, &info, &metal, &naga::back::msl::PipelineOptions::default())
            .unwrap_or_else(|error| panic!("{at}, Metal: {error}"));
        if on_matrix_units(planned) {
            return; // Direct3D has none, and naga refuses to write them.
        }
        let (options, pipeline) = (naga::back::hlsl::Options::default(), naga::back::hlsl::PipelineOptions::default());
        let mut text = String::new();
        naga::back::hlsl::Writer::new(&mut text, &options, &pipeline)
            .write(&module, &info, None)
            .unwrap_or_else(|error| panic!("{at}, Direct3D: {error}"));
    });
}

fn every_form_of_a_shader_is_valid_in_spirv() {
    validate(|planned| !on_matrix_units(planned), "vulkan1.1");
}

fn every_form_of_a_shader_on_matrix_units_is_valid_in_spirv() {
    validate(on_matrix_units, "vulkan1.3");
}

fn validate(is_wanted: impl Fn(&Planned) -> bool, environment: &str) {
    let forms: Vec<_> = one_of_each_form().into_iter().filter(|planned| is_wanted(planned)).collect();
    assert!(!forms.is_empty());
    forms.par_iter().for_each(|planned| validate_spirv(planned, environment));
}

/// Panics where `spirv-val` finds a fault.
fn validate_spirv(planned: &Planned, environment: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytemuck::cast_slice::<u32, u8>(&spirv(planned))).unwrap();
    let output = Command::new("spirv-val").args(["--target-env", environment]).arg(file.path()).output().unwrap();
    let fault = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}, spirv-val: {fault}", told(planned));
}

/// So a mutation or a remark changes no pipeline and no cache.
fn no_comment_of_a_shader_reaches_a_kernel() {
    for planned in one_of_each_form() {
        assert!(!planned.text().contains("//"), "{}", told(planned));
    }
}

fn every_shader_file_is_part_of_some_kernel() {
    let sources: HashMap<&str, &str> = shader::SOURCES.iter().copied().collect();
    let mut met: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&str> = Vec::new();
    for planned in planned() {
        let Kernel { shader, operands, .. } = &planned.dispatch.kernel;
        open.extend([Some(*shader), *operands].into_iter().flatten().map(|shader| shader.name));
    }
    while let Some(name) = open.pop() {
        if !met.insert(name) {
            continue;
        }
        // `import package::lib::grid::linear_index;` brings lib/grid in.
        for line in sources[name].lines().filter_map(|line| line.trim().strip_prefix("import package::")) {
            let path = line.split('{').next().unwrap_or(line).trim_end_matches(';').replace("::", "/");
            open.extend(sources.keys().filter(|source| path.starts_with(&format!("{source}/"))));
        }
    }
    let all: BTreeSet<&str> = sources.keys().copied().collect();
    let unmet: Vec<&&str> = all.difference(&met).collect();
    assert!(unmet.is_empty(), "no kernel of any plan uses {unmet:?}");
}

fn matrix_units_are_used_only_where_f16_is_asked_for() {
    let mut graph = Graph::new();
    let x = graph.input("x", TensorSpec::f32([65, 129])).unwrap();
    let weight = graph.input("weight", TensorSpec::f32([33, 129])).unwrap();
    let y = graph.apply_one(Linear, &[x, weight]).unwrap();
    graph.output("y", y);
    let shaders = |graph: &Graph| -> Vec<&str> {
        let units = MatrixUnits { edge: 16, smallest_subgroup: 32, largest_subgroup: 32, emulated: false };
        let profile = with_units(DeviceProfile::webgpu_defaults(DeviceClass::Gpu), units);
        Plan::new(graph, &profile).unwrap().steps.iter().map(|step| step.kernel.shader.name).collect()
    };
    assert_eq!(shaders(&graph), ["conv/workgroup_tile"]);
    assert_eq!(shaders(&graph.inputs_in_half()), ["conv/cooperative_tile"]);
}

fn a_device_that_ends_long_loops_is_not_given_one() {
    let mut graph = Graph::new();
    let x = graph.input("x", TensorSpec::f32([2, 70_001])).unwrap();
    let y = tilewright::nn::Scope::new(&mut graph, Mode::Eval).softmax(x, 1).unwrap();
    graph.output("y", y);
    assert!(Plan::new(&graph, &DeviceProfile::webgpu_defaults(DeviceClass::Gpu)).is_ok());
    let error = Plan::new(&graph, &DeviceProfile::webgpu_defaults(DeviceClass::Cpu)).unwrap_err();
    assert!(matches!(error, PlanError::Unsupported { .. }), "{error}");
}

fn a_missing_constant_is_told_with_the_shader() {
    static FILL: Shader = Shader::new("elementwise/fill", &[write("y")]);
    let kernel = Kernel::new(&FILL).constant("VALUE", Constant::F32(1.0));
    let error = shader::compile(&kernel).unwrap_err().to_string();
    assert!(error.contains("elementwise/fill"), "{error}");
}

/// y = x, of 128 floats, and another input of 128 u32; launched with the operands that a test gives.
#[derive(Debug)]
struct Copies(Vec<(&'static str, Operand)>);

static COPY: Shader = Shader::new("elementwise/copy", &[read("x"), write("y"), write("sums").when("keeps_sums")]);

impl Op for Copies {
    type Geometry = ();

    fn name(&self) -> &'static str {
        "copies"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        Ok((vec![inputs[0].clone()], ()))
    }

    fn reference(&self, (): &(), _: &[&HostTensor], _: &mut [HostTensor]) {}

    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        launch.linear(Kernel::new(&COPY), 128, self.0.iter().copied());
        Ok(())
    }
}

fn plan_copies(operands: &[(&'static str, Operand)]) -> Result<Plan, PlanError> {
    let mut graph = Graph::new();
    let inputs = [
        graph.input("x", TensorSpec::f32([128])).unwrap(),
        graph.input("places", TensorSpec { element: ElementType::U32, ..TensorSpec::f32([128]) }).unwrap(),
    ];
    let y = graph.apply_one(Copies(operands.to_vec()), &inputs).unwrap();
    graph.output("y", y);
    Plan::new(&graph, &DeviceProfile::webgpu_defaults(DeviceClass::Gpu))
}

/// What is said of a launch with these operands: the binding, and its fault.
fn fault(operands: &[(&'static str, Operand)]) -> (&'static str, BindingFault) {
    match plan_copies(operands).unwrap_err() {
        PlanError::Binding(error) => {
            assert_eq!((error.op, error.shader), ("copies", "elementwise/copy"));
            let text = error.to_string();
            assert!(text.contains("`elementwise/copy`") && text.contains(&format!("`{}`", error.binding)), "{text}");
            (error.binding, error.fault)
        }
        other => panic!("{other}"),
    }
}

fn a_launch_binds_what_its_shader_declares_or_there_is_no_plan() {
    let [x, places, y] = [Operand::input(0), Operand::input(1), Operand::output(0)];
    assert!(plan_copies(&[("y", y), ("x", x)]).is_ok(), "names tell the order");
    assert!(plan_copies(&[("y", y.slice(64, 64)), ("x", x.slice(0, 64))]).is_ok());

    assert_eq!(fault(&[("x", x)]), ("y", BindingFault::Missing));
    assert_eq!(fault(&[("x", x), ("y", y), ("z", y)]), ("z", BindingFault::Undeclared));
    let condition = Condition { name: "keeps_sums", holds: true };
    assert_eq!(fault(&[("x", x), ("y", y), ("sums", y)]), ("sums", BindingFault::Conditional(condition)));
    assert_eq!(fault(&[("x", x), ("y", y), ("x", x)]), ("x", BindingFault::Twice));

    let buffer = |element| Content::Buffer { element, lanes: 1 };
    let mistyped = BindingFault::Mistyped { declared: buffer(ElementType::F32), given: buffer(ElementType::U32) };
    assert_eq!(fault(&[("x", places), ("y", y)]), ("x", mistyped));
    assert_eq!(fault(&[("x", x), ("y", x)]), ("y", BindingFault::NotUpdated(0)));
    let absent = Storage::Input(2);
    assert_eq!(fault(&[("x", absent.into()), ("y", y)]), ("x", BindingFault::NoSuchOperand(absent)));
    let past = BindingFault::PastTheEnd { first: 64, count: 65, elements: 128 };
    assert_eq!(fault(&[("x", x.slice(64, 65)), ("y", y)]), ("x", past));
    let unaligned = BindingFault::Unaligned { first: 3, alignment: 64 };
    assert_eq!(fault(&[("x", x.slice(3, 64)), ("y", y)]), ("x", unaligned));
}
