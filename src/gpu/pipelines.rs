//! Compute pipelines: compiled in parallel, shared by equal shader text, cached across runs where
//! the device offers it.

use super::GpuError;
use super::pipeline_cache::CacheFile;
use super::scopes::Scopes;
use crate::activity::{Activity, Stage};
use crate::kernel::{Access, Kernel};
use crate::plan::{PlannedBinding, PlannedDispatch};
use crate::shader::{self, Sources};
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What a binding is to a pipeline's layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum BindingKind {
    ReadBuffer,
    WriteBuffer,
    ReadTexture,
    WriteTexture,
}

impl From<&PlannedBinding> for BindingKind {
    fn from(binding: &PlannedBinding) -> Self {
        match binding {
            PlannedBinding::Buffer { access: Access::Read, .. } => BindingKind::ReadBuffer,
            PlannedBinding::Buffer { access: Access::Write, .. } => BindingKind::WriteBuffer,
            PlannedBinding::Texture { access: Access::Read, .. } => BindingKind::ReadTexture,
            PlannedBinding::Texture { access: Access::Write, .. } => BindingKind::WriteTexture,
        }
    }
}

pub(super) struct CompiledKernel {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
}

pub(super) struct Pipelines {
    checked: bool,
    /// Layout of the second bind group: one kernel's arguments, at a dynamic offset.
    pub arguments: wgpu::BindGroupLayout,
    sources: Sources,
    compiled: Mutex<HashMap<String, Arc<CompiledKernel>>>,
    cache: Option<(wgpu::PipelineCache, CacheFile)>,
    /// What people should know of the cache.
    pub note: Option<String>,
}

impl Pipelines {
    pub(super) fn new(device: &wgpu::Device, info: &wgpu::AdapterInfo, checked: bool, sources: Sources) -> Self {
        let cache = device.features().contains(wgpu::Features::PIPELINE_CACHE).then(|| CacheFile::of(info)).flatten();
        let mut note = None;
        let cache = cache.map(|file| {
            let data = file.read(&mut note);
            let descriptor =
                wgpu::PipelineCacheDescriptor { label: Some("tilewright"), data: data.as_deref(), fallback: true };
            // SAFETY: the data are what this driver gave for this device: `CacheFile` holds their checksum, device and
            // driver against what it wrote, and wgpu their header against the driver. Neither helps against who forges
            // the file with its checksum; but who can write to this user's cache can as well change the user's programs.
            (unsafe { device.create_pipeline_cache(&descriptor) }, file)
        });
        let arguments = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("arguments"),
            entries: &[wgpu::BindGroupLayoutEntry {
                binding: 0,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: wgpu::BufferBindingType::Uniform,
                    has_dynamic_offset: true,
                    min_binding_size: None,
                },
                count: None,
            }],
        });
        Pipelines { checked, arguments, sources, compiled: Mutex::default(), cache, note }
    }

    /// Whether shaders run with bounds checks, bounded loops and zeroed workgroup memory.
    pub(super) fn are_checked(&self) -> bool {
        self.checked
    }

    /// One compiled kernel for each dispatch; those not met before are compiled side by side.
    pub(super) fn compile(
        &self,
        device: &wgpu::Device,
        scopes: &Scopes,
        dispatches: &[&PlannedDispatch],
        activity: &Activity,
    ) -> Result<Vec<Arc<CompiledKernel>>, GpuError> {
        let mut kernels: Vec<Kernel> = Vec::new();
        let mut kernel_of = Vec::with_capacity(dispatches.len());
        for dispatch in dispatches {
            let form = dispatch.kernel.form();
            let known = kernels.iter().position(|kernel| *kernel == form);
            kernel_of.push(known.unwrap_or(kernels.len()));
            if known.is_none() {
                kernels.push(form);
            }
        }
        let texts: Vec<String> =
            kernels.par_iter().map(|kernel| self.sources.compile(kernel)).collect::<Result<_, _>>()?;
        let keys: Vec<&str> = kernel_of.into_iter().map(|kernel| texts[kernel].as_str()).collect();
        let mut missing: Vec<(&str, &PlannedDispatch)> = Vec::new();
        {
            let compiled = self.lock();
            for (key, dispatch) in keys.iter().zip(dispatches) {
                if !compiled.contains_key(*key) && !missing.iter().any(|(text, _)| text == key) {
                    missing.push((key, dispatch));
                }
            }
        }
        let compiling = activity.enter(Stage::Compiling, missing.len() as u64);
        let built: Vec<(String, Arc<CompiledKernel>)> = missing
            .into_par_iter()
            .map(|(text, dispatch)| {
                let kernel = self.build(device, scopes, text, dispatch)?;
                compiling.advance();
                Ok((text.to_owned(), Arc::new(kernel)))
            })
            .collect::<Result<_, GpuError>>()?;
        drop(compiling);
        if !built.is_empty() {
            self.lock().extend(built);
            self.save();
        }
        let compiled = self.lock();
        Ok(keys.into_iter().map(|key| Arc::clone(&compiled[key])).collect())
    }

    fn build(
        &self,
        device: &wgpu::Device,
        scopes: &Scopes,
        text: &str,
        dispatch: &PlannedDispatch,
    ) -> Result<CompiledKernel, GpuError> {
        let name = dispatch.kernel.shader.name;
        let refused = move |error| GpuError::Pipeline { reason: format!("shaders/{name}.wgsl: {error}") };
        scopes.within(device, wgpu::ErrorFilter::Validation, refused, || self.create(device, text, dispatch))
    }

    fn create(&self, device: &wgpu::Device, text: &str, dispatch: &PlannedDispatch) -> CompiledKernel {
        let label = Some(dispatch.kernel.shader.name);
        let descriptor = wgpu::ShaderModuleDescriptor { label, source: wgpu::ShaderSource::Wgsl(text.into()) };
        let module = match self.checked {
            true => device.create_shader_module(descriptor),
            // SAFETY: the crate's own shaders stay within their bindings; the test suite runs all of
            // them with the checks on, and holds each against the CPU reference. For others, the caller
            // of `Gpu::with_trusted_shaders` answers.
            false => unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) },
        };
        let entries: Vec<wgpu::BindGroupLayoutEntry> =
            (0..).zip(&dispatch.bindings).map(|(index, binding)| layout_entry(index, binding.into())).collect();
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
        let with_arguments = [Some(&layout), Some(&self.arguments)];
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: match dispatch.arguments {
                Some(_) => &with_arguments,
                None => &with_arguments[..1],
            },
            immediate_size: 0,
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some(shader::ENTRY_POINT),
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: self.checked,
                ..Default::default()
            },
            cache: self.cache.as_ref().map(|(cache, _)| cache),
        });
        CompiledKernel { pipeline, layout }
    }

    /// Writes the driver's compiled pipelines for the next run.
    fn save(&self) {
        if let Some((cache, file)) = &self.cache
            && let Some(data) = cache.get_data()
        {
            file.write(&data);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<CompiledKernel>>> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn layout_entry(binding: u32, kind: BindingKind) -> wgpu::BindGroupLayoutEntry {
    let buffer = |read_only| wgpu::BindingType::Buffer {
        ty: wgpu::BufferBindingType::Storage { read_only },
        has_dynamic_offset: false,
        min_binding_size: None,
    };
    let ty = match kind {
        BindingKind::ReadBuffer => buffer(true),
        BindingKind::WriteBuffer => buffer(false),
        BindingKind::ReadTexture => wgpu::BindingType::StorageTexture {
            access: wgpu::StorageTextureAccess::ReadOnly,
            format: super::program::TEXTURE_FORMAT,
            view_dimension: wgpu::TextureViewDimension::D2,
        },
        BindingKind::WriteTexture => wgpu::BindingType::StorageTexture {
            access: wgpu::StorageTextureAccess::WriteOnly,
            format: super::program::TEXTURE_FORMAT,
            view_dimension: wgpu::TextureViewDimension::D2,
        },
    };
    wgpu::BindGroupLayoutEntry { binding, visibility: wgpu::ShaderStages::COMPUTE, ty, count: None }
}
