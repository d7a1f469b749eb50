"""
Debugger and Profiler beside the training jobs: what SageMaker does for a job's DebugHookConfig,
DebugRuleConfigurations, ProfilerConfig, ProfilerRuleConfigurations and TensorBoardOutputConfig.

What a container writes is stored while it runs (places), the rules over its tensors are evaluated
beside it (evaluation), the machine is sampled, and the profiler's rules are judged at the end
(profiling); beside joins these for kennel.local.sagemaker.training. What a request may ask for is
in checks, how the rules' statuses are told in statuses. The rules themselves are kennel.profiling's
and kennel.debugging's, which is started as a container.
"""
